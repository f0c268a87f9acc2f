#define _GNU_SOURCE
#include "cni.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* What the plugin itself needs to know of a call. */
struct call {
	const char *command;
	struct bytes input;
	char *version;
	char *socket_path;
	char *state_directory;
	/* network/container/interface: what a DEL is kept under */
	char *identity;
};

static int fail(const struct call *call, enum cni_code code, const char *message, const char *subject)
{
	return print_error(call->version, code, message, subject);
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

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value == NULL ? "" : value;
}

static char *text_of(const struct bytes *input, const char *key)
{
	return json_top_level_text((const char *)input->data, input->length, key);
}

/* From the configuration, else from the environment, else the usual one. */
static char *setting(const struct bytes *input, const char *key, const char *name, const char *usual)
{
	char *value = text_of(input, key);
	if (value != NULL && value[0] != '\0')
		return value;
	free(value);
	const char *set = variable(name);
	return strdup(set[0] == '\0' ? usual : set);
}

static bool understand(struct call *call)
{
	char *network = text_of(&call->input, "name");
	call->version = text_of(&call->input, "cniVersion");
	call->socket_path = setting(&call->input, "agentSocket", "FAIRLEAD_SOCKET", "/run/fairlead/cni.sock");
	call->state_directory = setting(&call->input, "stateDirectory", "FAIRLEAD_STATE", "/var/lib/fairlead");
	if (asprintf(&call->identity, "%s/%s/%s", network == NULL ? "" : network, variable("CNI_CONTAINERID"),
		     variable("CNI_IFNAME")) < 0)
		call->identity = NULL;
	free(network);
	return call->socket_path != NULL && call->state_directory != NULL && call->identity != NULL;
}

static bool is(const struct call *call, const char *command)
{
	return strcmp(call->command, command) == 0;
}

static int print_reply(const struct call *call, const struct reply *reply)
{
	/* A DEL that is still kept was for an earlier attachment of this name; it must not hit the new one. */
	if (is(call, "ADD") && reply->exit_code == 0)
		pending_forget(call->state_directory, call->identity);
	bool printed = write_all(STDOUT_FILENO, reply->text.data, reply->text.length);
	return printed && reply->exit_code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int delete_later(const struct call *call, const struct bytes *frame, enum call_outcome outcome)
{
	if (variable("CNI_CONTAINERID")[0] == '\0' || variable("CNI_IFNAME")[0] == '\0')
		return fail(call, INVALID_ENVIRONMENT,
			    "DEL needs CNI_CONTAINERID, CNI_IFNAME in its environment; set what is missing", "");
	int error = pending_save(call->state_directory, call->identity, frame);
	/* An agent that has just started may have looked for kept requests before this one was there. */
	struct reply reply = { 0 };
	if (outcome != CALL_TIMED_OUT && call_agent(call->socket_path, frame, 0, &reply) == CALL_ANSWERED) {
		pending_forget(call->state_directory, call->identity);
		int result = print_reply(call, &reply);
		bytes_free(&reply.text);
		return result;
	}
	bytes_free(&reply.text);
	if (error == 0) {
		fprintf(stderr, "fairlead-cni: no agent answers; the DEL is kept until one does\n");
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "fairlead-cni: cannot keep the DEL for the agent in %s: %s\n", call->state_directory,
		strerror(-error));
	return fail(call, IO_FAILURE,
		    "no agent answers, and the DEL cannot be kept until one does; start the agent, or make this "
		    "directory writable: ",
		    call->state_directory);
}

static int without_agent(const struct call *call, const struct bytes *frame, enum call_outcome outcome,
			 const struct reply *reply)
{
	if (is(call, "DEL"))
		return delete_later(call, frame, outcome);
	enum cni_code code = is(call, "STATUS") ? NOT_AVAILABLE : TRY_AGAIN;
	if (outcome == CALL_ENDED)
		return fail(call, code, "the fairlead agent ended while it worked on this; try again. Its socket: ",
			    call->socket_path);
	if (outcome == CALL_TIMED_OUT)
		return fail(call, code,
			    "the fairlead agent has not answered in time; look into its log, and try again. Its socket: ",
			    call->socket_path);
	if (reply->error == ENAMETOOLONG)
		return fail(call, INVALID_CONFIGURATION,
			    "agentSocket: is longer than the 107 bytes of a socket's path; shorten ", call->socket_path);
	fprintf(stderr, "fairlead-cni: %s: %s\n", call->socket_path, strerror(reply->error));
	return fail(call, code,
		    reply->error == EAGAIN ?
			    "the fairlead agent of this node takes no calls; look into its log, and try again. Its socket: " :
			    "the fairlead agent is not running on this node; start it, or look into its log, and try "
			    "again. Nobody answers at ",
		    call->socket_path);
}

static int carry(const struct call *call)
{
	struct bytes frame = { 0 };
	struct reply reply = { 0 };
	int result = EXIT_FAILURE;
	switch (call_encode(&frame, environ, &call->input)) {
	case ENVIRONMENT_TOO_LARGE:
		result = fail(call, INVALID_ENVIRONMENT, "the CNI_ variables are longer than 65536 bytes; shorten CNI_ARGS", "");
		break;
	case OUT_OF_MEMORY:
		result = fail(call, IO_FAILURE, "no memory is left on this node; free some", "");
		break;
	case ENCODED: {
		enum call_outcome outcome = call_agent(call->socket_path, &frame, CONNECT_MS, &reply);
		result = outcome == CALL_ANSWERED ? print_reply(call, &reply) :
						    without_agent(call, &frame, outcome, &reply);
	}
	}
	bytes_free(&frame);
	bytes_free(&reply.text);
	return result;
}

static int run(struct call *call)
{
	if (!read_input(&call->input))
		return fail(call, IO_FAILURE, "standard input cannot be read; give the network configuration there", "");
	if (call->input.length > STDIN_LIMIT)
		return fail(call, UNDECODABLE,
			    "the network configuration on standard input is longer than 1048576 bytes; shorten it", "");
	if (!understand(call))
		return fail(call, IO_FAILURE, "no memory is left on this node; free some", "");
	static const char *const commands[] = { "ADD", "DEL", "CHECK", "GC", "STATUS" };
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (is(call, commands[i]))
			return carry(call);
	return fail(call, INVALID_ENVIRONMENT,
		    "CNI_COMMAND: must be one of ADD, DEL, CHECK, GC, STATUS, VERSION, and not ", call->command);
}

static int print_version(void)
{
	static const char *const versions[] = { CNI_VERSIONS };
	struct bytes out = { 0 };
	bool fine = bytes_append_text(&out, "{\"cniVersion\":\"" NEWEST_CNI_VERSION "\",\"supportedVersions\":[");
	for (size_t i = 0; fine && i < sizeof(versions) / sizeof(*versions); i++)
		fine = bytes_append_text(&out, i == 0 ? "\"" : ",\"") && bytes_append_text(&out, versions[i]) &&
		       bytes_append_text(&out, "\"");
	fine = fine && bytes_append_text(&out, "]}\n") && write_all(STDOUT_FILENO, out.data, out.length);
	bytes_free(&out);
	return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_about(void)
{
	static const char *const versions[] = { CNI_VERSIONS };
	fprintf(stderr, "fairlead-cni: the CNI plugin of Fairlead, the pod network; a container runtime calls it.\nCNI versions:");
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		fprintf(stderr, " %s", versions[i]);
	fprintf(stderr, "\n");
	return EXIT_SUCCESS;
}

int main(void)
{
	struct call call = { .command = variable("CNI_COMMAND") };
	signal(SIGPIPE, SIG_IGN);
	if (call.command[0] == '\0')
		return print_about();
	if (is(&call, "VERSION"))
		return print_version();
	int result = run(&call);
	free(call.version);
	free(call.socket_path);
	free(call.state_directory);
	free(call.identity);
	bytes_free(&call.input);
	return result;
}
