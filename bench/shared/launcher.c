/*
 * Runs CNI plugins as a runtime does, and nothing else on the way: posix_spawn with environment and standard input,
 * wait, the time of each call from the start of its first plugin to the exit of its last.
 *
 *   bench-launcher CONCURRENCY    (one call a line on standard input)
 *
 * A line: ID<TAB>COMMAND<TAB>CONTAINERID<TAB>NETNS<TAB>IFNAME<TAB>CNI_PATH, then for every plugin of the chain
 * <TAB>PROGRAM<TAB>CONFIGURATION, in which "@" as a whole value stands for the result of the plugin before. Calls run in
 * order, CONCURRENCY at a time. One line of JSON per call: {"id","micros","status"}, after one that
 * failed {"refusal"} with the plugin's error; in the end {"wallMicros"}.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMMON = 6, MOST_PLUGINS = 4, MOST_RUNNING = 256, MOST_RESULT = 65536 };

struct call {
	char *common[COMMON];
	char *program[MOST_PLUGINS], *configuration[MOST_PLUGINS];
	size_t plugins, done;
	pid_t pid;
	int output;
	long start;
};

static long now_micros(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

/* A file in memory: no pipe to fill, no process to feed it. */
static int input_of(const char *configuration, const char *result)
{
	static const char placeholder[] = "\"@\"";
	int input = memfd_create("configuration", 0);
	const char *at = result == NULL ? NULL : strstr(configuration, placeholder);
	size_t before = at == NULL ? strlen(configuration) : (size_t)(at - configuration);
	if (write(input, configuration, before) < 0)
		exit(1);
	if (at != NULL && (write(input, result, strlen(result)) < 0 ||
			   write(input, at + sizeof(placeholder) - 1, strlen(at + sizeof(placeholder) - 1)) < 0))
		exit(1);
	if (lseek(input, 0, SEEK_SET) < 0)
		exit(1);
	return input;
}

static void start(struct call *call, const char *result)
{
	char *environment[8] = { 0 };
	static const char *const names[] = { "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH" };
	for (int i = 0; i < 5; i++)
		if (asprintf(&environment[i], "%s=%s", names[i], call->common[1 + i]) < 0)
			exit(1);
	environment[5] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	int input = input_of(call->configuration[call->done], result);
	call->output = memfd_create("result", 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_adddup2(&actions, call->output, 1);
	posix_spawn_file_actions_addclose(&actions, input);
	posix_spawn_file_actions_addclose(&actions, call->output);
	char *arguments[] = { call->program[call->done], NULL };
	if (posix_spawn(&call->pid, call->program[call->done], &actions, NULL, arguments, environment) != 0) {
		perror(call->program[call->done]);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&actions);
	close(input);
	for (int i = 0; i < 5; i++)
		free(environment[i]);
}

/* Whether a call has come to its end. */
static int reap(struct call *calls, size_t count)
{
	static char result[MOST_RESULT];
	int status;
	pid_t pid = wait(&status);
	long end = now_micros();
	for (size_t i = 0; i < count; i++) {
		struct call *call = &calls[i];
		if (call->pid != pid)
			continue;
		call->pid = 0;
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
		ssize_t length = pread(call->output, result, sizeof(result) - 1, 0);
		result[length < 0 ? 0 : length] = '\0';
		close(call->output);
		if (code == 0 && ++call->done < call->plugins) {
			start(call, result);
			return 0;
		}
		printf("{\"id\":\"%s\",\"micros\":%ld,\"status\":%d}\n", call->common[0], end - call->start, code);
		/* What a plugin that fails prints is JSON on several lines. */
		for (char *at = result; code != 0 && (at = strpbrk(at, "\n\t")) != NULL;)
			*at = ' ';
		if (code != 0)
			printf("{\"refusal\":%s}\n", result[0] == '{' ? result : "{}");
		return 1;
	}
	return 0;
}

static void parse(struct call *call, char *line)
{
	*call = (struct call){ 0 };
	line[strcspn(line, "\n")] = '\0';
	char *rest = line;
	for (int i = 0; i < COMMON; i++)
		call->common[i] = strdup(rest == NULL ? "" : strsep(&rest, "\t"));
	for (; rest != NULL && call->plugins < MOST_PLUGINS; call->plugins++) {
		call->program[call->plugins] = strdup(strsep(&rest, "\t"));
		call->configuration[call->plugins] = strdup(rest == NULL ? "" : strsep(&rest, "\t"));
	}
}

int main(int argc, char **argv)
{
	size_t concurrency = argc == 2 ? (size_t)atoi(argv[1]) : 0, count = 0, running = 0;
	struct call *calls = NULL;
	char *line = NULL;
	size_t size = 0;
	if (concurrency < 1 || concurrency > MOST_RUNNING)
		return 2;
	while (getline(&line, &size, stdin) > 0) {
		calls = realloc(calls, (count + 1) * sizeof(*calls));
		parse(&calls[count++], line);
	}
	long begin = now_micros();
	for (size_t next = 0; next < count || running > 0;) {
		if (next < count && running < concurrency) {
			calls[next].start = now_micros();
			start(&calls[next++], NULL);
			running++;
		} else if (reap(calls, next)) {
			running--;
		}
	}
	printf("{\"wallMicros\":%ld}\n", now_micros() - begin);
	return 0;
}
