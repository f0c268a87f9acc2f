#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The first packets of thousands of connections between pods, and what became of each, seen at both ends. All of it
 * happens on one processor, whose queue of packets keeps its order: when the node has answered who sent last, everything
 * that was sent before is as many hops further. After some such turns it has arrived, or never will, and nobody has to wait
 * for silence.
 */
enum { MOST_PODS = 32, PATIENCE_MS = 5000, SENTINEL = 9, TURNS = 5, BUFFER = 16 << 20 };

struct pod {
	struct in_addr node;
	int raw4, raw6, capture;
	bool passed;
};

struct volley {
	struct pod pods[MOST_PODS];
	int pod_count;
	/* base: the tag of the first one. Those of the next volley are others: no packet belongs to an older connection. */
	uint16_t turn, base;
	struct shot *shots;
	size_t count, unanswered;
};

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static int open_raw(int family)
{
	/* Headers are ours (raw(7)). */
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), size = BUFFER;
	if (fd < 0)
		die("raw socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

/* PATH=ADDRESS of its node, which answers it whatever a policy says */
static struct pod open_pod(char *text)
{
	char *path = strsep(&text, "=");
	int namespace = open(path, O_RDONLY | O_CLOEXEC), size = BUFFER, on = 1;
	if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
		die(path);
	close(namespace);
	struct pod pod = { .raw4 = open_raw(AF_INET),
			   .raw6 = open_raw(AF_INET6),
			   .capture = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	if (text == NULL || inet_pton(AF_INET, text, &pod.node) != 1)
		die("address of a node");
	struct sockaddr_ll where = { .sll_family = AF_PACKET,
				     .sll_protocol = htons(ETH_P_ALL),
				     .sll_ifindex = (int)if_nametoindex("eth0") };
	if (pod.capture < 0 || setsockopt(pod.capture, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(pod.capture, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    bind(pod.capture, (struct sockaddr *)&where, sizeof(where)) < 0)
		die("packet socket");
	return pod;
}

static void send_shot(const struct volley *volley, const struct shot *shot)
{
	uint8_t packet[128];
	size_t length = write_shot(shot, packet);
	const struct pod *pod = &volley->pods[shot->source_pod];
	struct sockaddr_storage to = shot->to;
	/* A raw socket of IPv6 takes the port for a protocol. */
	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = 0;
	int fd = to.ss_family == AF_INET ? pod->raw4 : pod->raw6;
	if (sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("send");
}

/* Behind everything else, to the node, which always answers. */
static void send_sentinel(struct volley *volley, struct pod *pod)
{
	struct shot shot = { .protocol = IPPROTO_ICMP, .tag = SENTINEL, .sequence = volley->turn };
	*(struct sockaddr_in *)&shot.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = pod->node };
	*(struct sockaddr_in *)&shot.from = (struct sockaddr_in){ .sin_family = AF_INET };
	shot.source_pod = (int)(pod - volley->pods);
	pod->passed = false;
	send_shot(volley, &shot);
}

static bool is_sentinel(const struct volley *volley, const struct pod *pod, const struct seen *seen)
{
	return seen->answer && seen->protocol == IPPROTO_ICMP && seen->tag == SENTINEL && seen->sequence == volley->turn &&
	       seen->from.ss_family == AF_INET &&
	       ((const struct sockaddr_in *)&seen->from)->sin_addr.s_addr == pod->node.s_addr;
}

static void note(struct volley *volley, struct pod *pod, const struct seen *seen)
{
	if (is_sentinel(volley, pod, seen)) {
		pod->passed = true;
		return;
	}
	size_t index = (size_t)seen->tag - volley->base;
	if (seen->tag < volley->base || index >= volley->count)
		return;
	struct shot *shot = &volley->shots[index];
	int number = (int)(pod - volley->pods);
	if (seen->protocol != shot->protocol || (seen->port != 0 && seen->port != port_of(&shot->to)))
		return;
	if (seen->answer && number == shot->source_pod && same_address(&seen->from, &shot->to) && !shot->answered) {
		shot->answered = true;
		volley->unanswered -= shot->arrived;
	}
	if (!seen->answer && number == shot->destination_pod && same_address(&seen->from, &shot->from) &&
	    same_address(&seen->to, &shot->to) && !shot->arrived) {
		shot->arrived = true;
		volley->unanswered += !shot->answered;
	}
}

static void drain(struct volley *volley, struct pod *pod)
{
	uint8_t packet[2048];
	ssize_t length;
	while ((length = recv(pod->capture, packet, sizeof(packet), 0)) > 0) {
		struct seen seen;
		if (read_seen(packet, (size_t)length, &seen))
			note(volley, pod, &seen);
	}
	struct tpacket_stats stats = { 0 };
	socklen_t size = sizeof(stats);
	getsockopt(pod->capture, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
	if (stats.tp_drops > 0) {
		fprintf(stderr, "fairlead-probe: %u packets were not looked at\n", stats.tp_drops);
		exit(EXIT_FAILURE);
	}
}

static bool all_passed(const struct volley *volley)
{
	for (int i = 0; i < volley->pod_count; i++)
		if (!volley->pods[i].passed)
			return false;
	return true;
}

static void drain_all(struct volley *volley)
{
	for (int i = 0; i < volley->pod_count; i++)
		drain(volley, &volley->pods[i]);
}

static bool wait_until(struct volley *volley, bool (*is_so)(const struct volley *))
{
	int64_t deadline = now_micros() + PATIENCE_MS * 1000;
	struct pollfd fds[MOST_PODS];
	for (drain_all(volley); !is_so(volley); drain_all(volley)) {
		if (now_micros() > deadline)
			return false;
		for (int i = 0; i < volley->pod_count; i++)
			fds[i] = (struct pollfd){ .fd = volley->pods[i].capture, .events = POLLIN };
		poll(fds, (nfds_t)volley->pod_count, 100);
	}
	return true;
}

static bool all_answered(const struct volley *volley)
{
	return volley->unanswered == 0;
}

static void await(struct volley *volley)
{
	for (int turn = 0; turn < TURNS; turn++) {
		volley->turn++;
		for (int i = 0; i < volley->pod_count; i++)
			send_sentinel(volley, &volley->pods[i]);
		if (!wait_until(volley, all_passed)) {
			fprintf(stderr, "fairlead-probe: the node does not answer its pods\n");
			exit(EXIT_FAILURE);
		}
	}
	/* What came before the last sentinel, at pods that were looked at before. */
	drain_all(volley);
	/* Whoever answers may be a process that waits for its turn. */
	wait_until(volley, all_answered);
}

/* One figure each: 0 did not arrive, 1 arrived, 2 was answered too. */
static void fire(struct volley *volley)
{
	volley->unanswered = 0;
	for (size_t i = 0; i < volley->count; i++) {
		volley->shots[i].tag = (uint16_t)(volley->base + i);
		send_shot(volley, &volley->shots[i]);
	}
	await(volley);
	for (size_t i = 0; i < volley->count; i++)
		putchar('0' + volley->shots[i].arrived + (volley->shots[i].arrived && volley->shots[i].answered));
	putchar('\n');
	fflush(stdout);
	size_t next = volley->base + volley->count;
	volley->base = next + MOST_SHOTS > 65535 ? FIRST_TAG : (uint16_t)next;
	volley->count = 0;
}

int fire_volleys(char **pods, int pod_count)
{
	static struct volley volley;
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (pod_count > MOST_PODS || sched_setaffinity(0, sizeof(here), &here) < 0)
		return 2;
	for (; volley.pod_count < pod_count; volley.pod_count++)
		volley.pods[volley.pod_count] = open_pod(pods[volley.pod_count]);
	volley.base = FIRST_TAG;
	volley.shots = calloc(MOST_SHOTS, sizeof(*volley.shots));
	char *line = NULL;
	size_t size = 0;
	while (volley.shots != NULL && getline(&line, &size, stdin) > 0) {
		if (strcmp(line, ".\n") == 0) {
			fire(&volley);
			continue;
		}
		if (volley.count == MOST_SHOTS || !parse_shot(line, volley.pod_count, &volley.shots[volley.count])) {
			fprintf(stderr, "fairlead-probe: not a connection: %s", line);
			return 2;
		}
		volley.count++;
	}
	free(line);
	free(volley.shots);
	return EXIT_SUCCESS;
}
