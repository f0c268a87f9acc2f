#define _GNU_SOURCE
#include "probe.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Probes that wait for their answers at a time. */
enum { WORKERS = 128, MOST_TARGETS = 100000 };

struct work {
	struct target *targets;
	size_t count;
	size_t next;
	pthread_mutex_t lock;
};

/* ID PROTOCOL ADDRESS PORT SIZE df|nodf TIMEOUT_MS */
static bool parse_target(const char *line, struct target *target)
{
	char address[INET6_ADDRSTRLEN], fragment[8];
	unsigned port;
	unsigned long long size;
	*target = (struct target){ 0 };
	if (sscanf(line, "%63s %7s %45s %u %llu %7s %d", target->id, target->protocol, address, &port, &size, fragment,
		   &target->timeout_ms) != 7 || port > 65535 || target->timeout_ms <= 0)
		return false;
	bool icmp = strcmp(target->protocol, "icmp") == 0 && strchr(address, ':') == NULL;
	if (!parse_address(address, icmp ? 0 : (uint16_t)port, &target->address))
		return false;
	target->address_length = target->address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	target->size = size;
	target->dont_fragment = strcmp(fragment, "df") == 0;
	return true;
}

static void run_target(const struct target *target, struct outcome *out)
{
	int64_t start = now_micros();
	if (strcmp(target->protocol, "tcp") == 0)
		probe_tcp(target, out);
	else if (strcmp(target->protocol, "udp") == 0)
		probe_udp(target, out);
	else if (strcmp(target->protocol, "sctp") == 0)
		probe_sctp(target, out);
	else if (strcmp(target->protocol, "icmp") == 0)
		probe_icmp(target, out);
	else if (strcmp(target->protocol, "stream") == 0)
		probe_stream(target, out);
	else
		snprintf(out->error, sizeof(out->error), "no such protocol");
	out->micros = now_micros() - start;
}

static void print_outcome(const struct target *target, const struct outcome *out)
{
	flockfile(stdout);
	printf("{\"id\":\"%s\",\"ok\":%s,\"micros\":%lld", target->id, out->ok ? "true" : "false", (long long)out->micros);
	if (out->answer[0] != '\0')
		printf(",\"answer\":%s", out->answer);
	if (!out->ok)
		printf(",\"error\":\"%s\"", out->error);
	if (out->mtu != 0)
		printf(",\"mtu\":%u", out->mtu);
	if (out->offender[0] != '\0')
		printf(",\"offender\":\"%s\"", out->offender);
	printf("}\n");
	funlockfile(stdout);
}

static void *run_worker(void *argument)
{
	struct work *work = argument;
	for (;;) {
		pthread_mutex_lock(&work->lock);
		size_t index = work->next++;
		pthread_mutex_unlock(&work->lock);
		if (index >= work->count)
			return NULL;
		struct outcome out = { 0 };
		run_target(&work->targets[index], &out);
		print_outcome(&work->targets[index], &out);
	}
}

int client(void)
{
	struct work work = { .lock = PTHREAD_MUTEX_INITIALIZER };
	char *line = NULL;
	size_t size = 0;
	signal(SIGPIPE, SIG_IGN);
	while (getline(&line, &size, stdin) > 0 && work.count < MOST_TARGETS) {
		struct target *grown = realloc(work.targets, (work.count + 1) * sizeof(*grown));
		if (grown == NULL)
			return EXIT_FAILURE;
		work.targets = grown;
		if (!parse_target(line, &work.targets[work.count])) {
			fprintf(stderr, "fairlead-probe: not a target: %s", line);
			return 2;
		}
		work.count++;
	}
	pthread_t threads[WORKERS];
	size_t started = 0;
	while (started < WORKERS && started < work.count &&
	       pthread_create(&threads[started], NULL, run_worker, &work) == 0)
		started++;
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(line);
	free(work.targets);
	return EXIT_SUCCESS;
}
