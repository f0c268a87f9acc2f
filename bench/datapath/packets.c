/*
 * What a packet, a connection and a gigabyte cost between two namespaces. Both ends are sockets of this process, so
 * that one core does all the work in turn and nothing waits for the scheduler.
 *
 *   bench-packets ROUNDS[,METRIC…] NAME:NETNS_A:NETNS_B:ADDRESS_OF_B …
 *
 * METRIC: packet, connection, gigabyte, round trip; all of them where none is named.
 *
 * Every round measures each path once, in turn: what disturbs the machine disturbs them all. One line of JSON per
 * measurement: {"path","metric","value"}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_NS = 200000000, PORT = 7777, PACKETS = 400, BATCHES = 12, CONNECTIONS = 60, ROUND_TRIPS = 400, STREAM = 24 << 20, CHUNK = 65536 };

struct path {
	char name[64], a[128], b[128], address[64];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void enter(const char *namespace)
{
	char file[160];
	snprintf(file, sizeof(file), "/run/netns/%s", namespace);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(file);
	close(fd);
}

static int open_in(const char *namespace, int type)
{
	enter(namespace);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	int on = 1, size = 8 << 20;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (type == SOCK_STREAM) {
		/* Some kernels default to a congestion control that paces: it would be measured instead of the path. */
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	return fd;
}

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	inet_pton(AF_INET, text, &address.sin_addr);
	return address;
}

static int bound(const struct path *path, int type)
{
	struct sockaddr_in any = address_of("0.0.0.0");
	int fd = open_in(path->b, type);
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 128) < 0)
		die("listen");
	return fd;
}

static int connected(const struct path *path, int type)
{
	struct sockaddr_in to = address_of(path->address);
	int fd = open_in(path->a, type);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die(path->name);
	return fd;
}

static void tell(const struct path *path, const char *metric, double value)
{
	printf("{\"path\":\"%s\",\"metric\":\"%s\",\"value\":%.3f}\n", path->name, metric, value);
}

/* From the send call to the receiver's queue, all on this core. The best batch: the others were disturbed. */
static void measure_packets(const struct path *path)
{
	char payload[64] = { 0 };
	int receiver = bound(path, SOCK_DGRAM), sender = connected(path, SOCK_DGRAM);
	double best = 1e18;
	int64_t begun = now_ns();
	/* Paths of a hundred times the cost shall not take a hundred times as long. */
	for (int batch = 0; batch < BATCHES && (batch < 3 || now_ns() - begun < PATIENCE_NS); batch++) {
		int64_t start = now_ns();
		for (int i = 0; i < PACKETS; i++)
			if (send(sender, payload, sizeof(payload), 0) < 0)
				die(path->name);
		double each = (double)(now_ns() - start) / PACKETS;
		int arrived = 0;
		while (recv(receiver, payload, sizeof(payload), MSG_DONTWAIT) > 0)
			arrived++;
		if (arrived < PACKETS * 99 / 100 && batch > 0) {
			fprintf(stderr, "%s: %d of %d packets arrived\n", path->name, arrived, PACKETS);
			exit(1);
		}
		if (each < best && batch > 0)
			best = each;
	}
	close(sender);
	close(receiver);
	tell(path, "packet", best);
}

/* Connect, one byte each way, close. */
static void measure_connections(const struct path *path)
{
	int listener = bound(path, SOCK_STREAM);
	struct sockaddr_in to = address_of(path->address);
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	double best = 1e18;
	char byte = 1;
	enter(path->a);
	for (int batch = 0; batch < 4; batch++) {
		int64_t start = now_ns();
		for (int i = 0; i < CONNECTIONS; i++) {
			int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
			setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
			/* No port waits in TIME_WAIT for the next round. */
			setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			if (connect(client, (struct sockaddr *)&to, sizeof(to)) < 0)
				die(path->name);
			int server = accept(listener, NULL, NULL);
			if (server < 0 || send(client, &byte, 1, 0) != 1 || recv(server, &byte, 1, 0) != 1 ||
			    send(server, &byte, 1, 0) != 1 || recv(client, &byte, 1, 0) != 1)
				die(path->name);
			close(server);
			close(client);
		}
		double each = (double)(now_ns() - start) / CONNECTIONS;
		if (each < best)
			best = each;
	}
	close(listener);
	tell(path, "connection", best / 1000);
}

static void measure_stream(const struct path *path)
{
	static char chunk[CHUNK];
	int listener = bound(path, SOCK_STREAM), client = connected(path, SOCK_STREAM);
	int server = accept(listener, NULL, NULL);
	size_t sent = 0, received = 0;
	fcntl(client, F_SETFL, O_NONBLOCK);
	fcntl(server, F_SETFL, O_NONBLOCK);
	int64_t start = now_ns();
	while (received < STREAM) {
		ssize_t count = sent < STREAM ? send(client, chunk, sizeof(chunk), 0) : 0;
		if (count > 0)
			sent += (size_t)count;
		while ((count = recv(server, chunk, sizeof(chunk), 0)) > 0)
			received += (size_t)count;
	}
	double seconds = (double)(now_ns() - start) / 1e9;
	close(client);
	close(server);
	close(listener);
	tell(path, "gigabyte", seconds * 1e9 / (double)STREAM);
}

static void *echo(void *argument)
{
	int fd = *(int *)argument;
	char byte;
	pin(1);
	for (int i = 0; i < ROUND_TRIPS;) {
		if (recv(fd, &byte, 1, MSG_DONTWAIT) == 1) {
			send(fd, &byte, 1, 0);
			i++;
		}
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;
	return difference < 0 ? -1 : difference > 0;
}

/* Both ends poll, each on a core of its own; the tenth percentile, since any disturbance only adds. */
static void measure_round_trips(const struct path *path)
{
	static double times[ROUND_TRIPS];
	int listener = bound(path, SOCK_STREAM), client = connected(path, SOCK_STREAM);
	int server = accept(listener, NULL, NULL);
	pthread_t thread;
	pthread_create(&thread, NULL, echo, &server);
	char byte = 1;
	for (int i = 0; i < ROUND_TRIPS; i++) {
		int64_t start = now_ns();
		send(client, &byte, 1, 0);
		while (recv(client, &byte, 1, MSG_DONTWAIT) != 1)
			;
		times[i] = (double)(now_ns() - start) / 1000;
	}
	pthread_join(thread, NULL);
	close(client);
	close(server);
	close(listener);
	qsort(times, ROUND_TRIPS, sizeof(*times), compare);
	tell(path, "round trip", times[ROUND_TRIPS / 10]);
}

static const struct {
	const char *name;
	void (*measure)(const struct path *path);
} metrics[] = { { "packet", measure_packets },
		{ "connection", measure_connections },
		{ "gigabyte", measure_stream },
		{ "round trip", measure_round_trips } };

int main(int argc, char **argv)
{
	struct path *paths = calloc((size_t)argc, sizeof(*paths));
	int rounds = argc > 2 ? atoi(argv[1]) : 0, count = 0;
	for (int i = 2; i < argc; i++, count++)
		if (sscanf(argv[i], "%63[^:]:%127[^:]:%127[^:]:%63s", paths[count].name, paths[count].a, paths[count].b,
			   paths[count].address) != 4)
			return 2;
	if (rounds < 1 || count < 1)
		return 2;
	pin(0);
	for (int round = 0; round < rounds; round++) {
		for (size_t metric = 0; metric < sizeof(metrics) / sizeof(*metrics); metric++) {
			if (strchr(argv[1], ',') != NULL && strstr(argv[1], metrics[metric].name) == NULL)
				continue;
			for (int i = 0; i < count; i++)
				metrics[metric].measure(&paths[i]);
		}
		fflush(stdout);
	}
	free(paths);
	return 0;
}
