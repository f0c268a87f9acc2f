/*
 * Runs CNI plugins as a runtime does, and nothing else on the way: posix_spawn with environment and standard input,
 * wait, the time of each call from start to exit.
 *
 *   bench-launcher CONCURRENCY    (one call a line on standard input)
 *
 * A line: ID<TAB>PROGRAM<TAB>COMMAND<TAB>CONTAINERID<TAB>NETNS<TAB>IFNAME<TAB>CNI_PATH<TAB>CONFIGURATION. Calls run
 * in order, CONCURRENCY at a time. One line of JSON per call: {"id","micros","status"}, in the end {"wallMicros"}.
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

enum { FIELDS = 8, MOST_RUNNING = 256 };

struct call {
	char *field[FIELDS];
	pid_t pid;
	long start;
};

static long now_micros(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static void start(struct call *call)
{
	char *environment[8] = { 0 };
	static const char *const names[] = { "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH" };
	for (int i = 0; i < 5; i++)
		if (asprintf(&environment[i], "%s=%s", names[i], call->field[2 + i]) < 0)
			exit(1);
	/* A file in memory: no pipe to fill, no process to feed it. */
	int input = memfd_create("configuration", 0);
	if (write(input, call->field[7], strlen(call->field[7])) < 0 || lseek(input, 0, SEEK_SET) < 0)
		exit(1);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclose(&actions, input);
	char *arguments[] = { call->field[1], NULL };
	call->start = now_micros();
	if (posix_spawn(&call->pid, call->field[1], &actions, NULL, arguments, environment) != 0) {
		perror(call->field[1]);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&actions);
	close(input);
	for (int i = 0; i < 5; i++)
		free(environment[i]);
}

static void reap(struct call *calls, size_t count)
{
	int status;
	pid_t pid = wait(&status);
	long end = now_micros();
	for (size_t i = 0; i < count; i++) {
		if (calls[i].pid != pid)
			continue;
		calls[i].pid = 0;
		printf("{\"id\":\"%s\",\"micros\":%ld,\"status\":%d}\n", calls[i].field[0], end - calls[i].start,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 255);
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
		calls[count] = (struct call){ 0 };
		line[strcspn(line, "\n")] = '\0';
		char *rest = line;
		for (int i = 0; i < FIELDS; i++)
			calls[count].field[i] = strdup(rest == NULL ? "" : strsep(&rest, "\t"));
		count++;
	}
	long begin = now_micros();
	for (size_t next = 0; next < count || running > 0;) {
		if (next < count && running < concurrency) {
			start(&calls[next++]);
			running++;
		} else {
			reap(calls, next);
			running--;
		}
	}
	printf("{\"wallMicros\":%ld}\n", now_micros() - begin);
	return 0;
}
