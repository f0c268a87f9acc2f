#define _GNU_SOURCE
#include "cni.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEWEST "1.1.0"

/* The codes of the CNI specification that the plugin gives by itself. */
enum { INVALID_ENVIRONMENT = 4, IO_FAILURE = 5, UNDECODABLE = 6, TRY_AGAIN = 11, NOT_AVAILABLE = 50 };

extern char **environ;

/* What the plugin itself needs to know of a call. */
struct call {
	const char *command;
	struct bytes input;
	char *version;
	char *socket_path;
	char *state_directory;
	char *network;
};

static bool print(const void *data, size_t length)
{
	const uint8_t *at = data;
	while (length > 0) {
		ssize_t count = write(STDOUT_FILENO, at, length);
		if (count < 0 && errno != EINTR)
			return false;
		if (count > 0) {
			at += count;
			length -= (size_t)count;
		}
	}
	return true;
}

static int fail(const struct call *call, int code, const char *message, const char *subject)
{
	struct bytes out = { 0 };
	char number[16];
	snprintf(number, sizeof(number), "%d", code);
	bool fine = bytes_append_text(&out, "{\"cniVersion\":\"") &&
		    json_append_escaped(&out, call->version == NULL ? NEWEST : call->version) &&
		    bytes_append_text(&out, "\",\"code\":") && bytes_append_text(&out, number) &&
		    bytes_append_text(&out, ",\"msg\":\"") && json_append_escaped(&out, message) &&
		    json_append_escaped(&out, subject) && bytes_append_text(&out, "\"}\n");
	if (fine)
		print(out.data, out.length);
	bytes_free(&out);
	return EXIT_FAILURE;
}

/* One byte more than is allowed, so that too much can be told from just enough. */
static bool read_input(struct bytes *input)
{
	char chunk[16384];
	while (input->length <= STDIN_LIMIT) {
		ssize_t count = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (count == 0)
			return true;
		if (count < 0 && errno != EINTR)
			return false;
		if (count > 0 && !bytes_append(input, chunk, (size_t)count))
			return false;
	}
	return true;
}

/* From the configuration, else from the environment, else the usual one. */
static char *setting(const struct bytes *input, const char *key, const char *variable, const char *usual)
{
	char *value = json_top_level_text((const char *)input->data, input->length, key);
	if (value != NULL && value[0] != '\0')
		return value;
	free(value);
	const char *set = getenv(variable);
	return strdup(set == NULL || set[0] == '\0' ? usual : set);
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value == NULL ? "" : value;
}

static int delete_later(const struct call *call, const struct bytes *frame)
{
	if (variable("CNI_CONTAINERID")[0] == '\0' || variable("CNI_IFNAME")[0] == '\0')
		return fail(call, INVALID_ENVIRONMENT, "DEL needs CNI_CONTAINERID, CNI_IFNAME in its environment; set what is missing", "");
	char *identity;
	if (asprintf(&identity, "%s/%s/%s", call->network == NULL ? "" : call->network, variable("CNI_CONTAINERID"),
		     variable("CNI_IFNAME")) < 0)
		return fail(call, IO_FAILURE, "out of memory", "");
	int error = pending_save(call->state_directory, identity, frame);
	free(identity);
	if (error < 0) {
		fprintf(stderr, "fairlead-cni: cannot keep the DEL for the agent in %s: %s\n", call->state_directory,
			strerror(-error));
		return fail(call, IO_FAILURE, "the agent is not running, and the DEL cannot be kept for it in ",
			    call->state_directory);
	}
	fprintf(stderr, "fairlead-cni: the agent is not running; the DEL is kept for its next start\n");
	return EXIT_SUCCESS;
}

static int without_agent(const struct call *call, const struct bytes *frame, enum call_outcome outcome)
{
	if (strcmp(call->command, "DEL") == 0)
		return delete_later(call, frame);
	if (outcome == CALL_BROKEN_OFF)
		return fail(call, TRY_AGAIN, "the fairlead agent ended while it worked on this; try again. Its socket: ",
			    call->socket_path);
	return fail(call, strcmp(call->command, "STATUS") == 0 ? NOT_AVAILABLE : TRY_AGAIN,
		    "the fairlead agent is not running on this node; start it, or look into its log, and try again. "
		    "Nobody answers at ",
		    call->socket_path);
}

static int carry(const struct call *call)
{
	struct bytes frame = { 0 }, text = { 0 };
	uint32_t exit_code = EXIT_FAILURE;
	int result;
	if (!call_encode(&frame, environ, &call->input)) {
		result = fail(call, IO_FAILURE, "out of memory", "");
	} else {
		enum call_outcome outcome = call_agent(call->socket_path, &frame, &exit_code, &text);
		result = outcome == CALL_ANSWERED ? (exit_code == 0 ? EXIT_SUCCESS : EXIT_FAILURE) :
						    without_agent(call, &frame, outcome);
		if (outcome == CALL_ANSWERED && !print(text.data, text.length))
			result = EXIT_FAILURE;
	}
	bytes_free(&frame);
	bytes_free(&text);
	return result;
}

int main(void)
{
	struct call call = { .command = variable("CNI_COMMAND") };
	signal(SIGPIPE, SIG_IGN);
	if (call.command[0] == '\0') {
		fprintf(stderr, "fairlead-cni: the CNI plugin of Fairlead, the pod network; it speaks CNI 0.3.1, 0.4.0, 1.0.0, 1.1.0\n");
		return EXIT_SUCCESS;
	}
	if (strcmp(call.command, "VERSION") == 0) {
		static const char reply[] =
			"{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n";
		return print(reply, sizeof(reply) - 1) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (!read_input(&call.input))
		return fail(&call, IO_FAILURE, "standard input cannot be read; give the network configuration there", "");
	if (call.input.length > STDIN_LIMIT)
		return fail(&call, UNDECODABLE, "the network configuration on standard input is larger than 1 MiB; shorten it", "");
	call.version = json_top_level_text((const char *)call.input.data, call.input.length, "cniVersion");
	call.network = json_top_level_text((const char *)call.input.data, call.input.length, "name");
	call.socket_path = setting(&call.input, "agentSocket", "FAIRLEAD_SOCKET", "/run/fairlead/cni.sock");
	call.state_directory = setting(&call.input, "stateDirectory", "FAIRLEAD_STATE", "/var/lib/fairlead");
	int result = call.socket_path == NULL || call.state_directory == NULL ? fail(&call, IO_FAILURE, "out of memory", "") :
									       carry(&call);
	free(call.version);
	free(call.network);
	free(call.socket_path);
	free(call.state_directory);
	bytes_free(&call.input);
	return result;
}
