#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The first packets of thousands of connections between pods, and their nodes, and what became of each, seen at both ends.
 * All of it happens on one processor, whose queue of packets keeps its order: when the node has answered what was sent last,
 * everything that was sent before is as many hops further. After some such turns it has arrived, or never will, and there is
 * no need to wait for silence.
 */
enum { MOST_PODS = 32, MOST_INLETS = 8, PATIENCE_MS = 5000, TURNS = 5, BUFFER = 64 << 20 };

/*
 * One end of connections: a pod, or a node. An interface is looked at before the filter of what is for the host itself: what
 * a node let through is what its raw sockets got.
 */
struct pod {
	struct in_addr node;
	bool is_node;
	int raw4, raw6, capture, link, inlets[MOST_INLETS];
	bool passed;
};

struct volley {
	struct pod pods[MOST_PODS];
	int pod_count;
	/* base: the tag of the first one. Those of the next volley are others: no packet belongs to an older connection. */
	uint16_t base;
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

static const int PROTOCOLS[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };

static void open_inlets(struct pod *pod)
{
	int size = BUFFER;
	for (int i = 0; i < MOST_INLETS; i++) {
		bool v4 = i < MOST_INLETS / 2;
		int number = i % (MOST_INLETS / 2);
		int protocol = number < 3 ? PROTOCOLS[number] : v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		pod->inlets[i] = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
		if (pod->inlets[i] < 0 || setsockopt(pod->inlets[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
			die("raw socket of a node");
	}
}

/* PATH=ADDRESS of its node, or PATH alone for a node. */
static struct pod open_pod(char *text)
{
	char *path = strsep(&text, "=");
	int namespace = open(path, O_RDONLY | O_CLOEXEC), size = BUFFER, on = 1;
	if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
		die(path);
	close(namespace);
	struct pod pod = { .is_node = text == NULL,
			   .raw4 = open_raw(AF_INET),
			   .raw6 = open_raw(AF_INET6),
			   .capture = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	pod.link = pod.is_node ? 0 : (int)if_nametoindex("eth0");
	if (!pod.is_node && inet_pton(AF_INET, text, &pod.node) != 1)
		die("address of a node");
	struct sockaddr_ll where = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = pod.link };
	if (pod.capture < 0 || setsockopt(pod.capture, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(pod.capture, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    bind(pod.capture, (struct sockaddr *)&where, sizeof(where)) < 0)
		die("packet socket");
	if (pod.is_node)
		open_inlets(&pod);
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

/*
 * Behind everything else, to the node: whether another has its address (RFC 5227). It answers that whatever a policy says,
 * since ARP is no packet of IP.
 */
static void send_sentinel(struct pod *pod)
{
	struct ether_arp probe = { .arp_hrd = htons(ARPHRD_ETHER), .arp_pro = htons(ETH_P_IP), .arp_hln = ETH_ALEN,
				   .arp_pln = sizeof(pod->node), .arp_op = htons(ARPOP_REQUEST) };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = pod->link,
				  .sll_halen = ETH_ALEN };
	memset(to.sll_addr, 0xff, ETH_ALEN);
	memcpy(probe.arp_tpa, &pod->node, sizeof(pod->node));
	pod->passed = false;
	if (sendto(pod->capture, &probe, sizeof(probe), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("send ARP");
}

static bool is_sentinel(const struct pod *pod, const uint8_t *packet, size_t length, const struct sockaddr_ll *from)
{
	const struct ether_arp *arp = (const struct ether_arp *)packet;
	return from->sll_protocol == htons(ETH_P_ARP) && length >= sizeof(*arp) && arp->arp_op == htons(ARPOP_REPLY) &&
	       memcmp(arp->arp_spa, &pod->node, sizeof(pod->node)) == 0;
}

static void note(struct volley *volley, struct pod *pod, const struct seen *seen)
{
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
	if (!seen->answer && !pod->is_node && number == shot->destination_pod && same_address(&seen->from, &shot->from) &&
	    same_address(&seen->to, &shot->to) && !shot->arrived) {
		shot->arrived = true;
		volley->unanswered += !shot->answered;
	}
}

static void drain(struct volley *volley, struct pod *pod)
{
	uint8_t packet[2048];
	ssize_t length;
	struct sockaddr_ll from;
	socklen_t known = sizeof(from);
	while ((length = recvfrom(pod->capture, packet, sizeof(packet), 0, (struct sockaddr *)&from, &known)) > 0) {
		struct seen seen;
		if (is_sentinel(pod, packet, (size_t)length, &from))
			pod->passed = true;
		else if (read_seen(packet, (size_t)length, &seen))
			note(volley, pod, &seen);
		known = sizeof(from);
	}
	struct tpacket_stats stats = { 0 };
	socklen_t size = sizeof(stats);
	getsockopt(pod->capture, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
	if (stats.tp_drops > 0) {
		fprintf(stderr, "fairlead-probe: %u packets were not looked at\n", stats.tp_drops);
		exit(EXIT_FAILURE);
	}
}

/* A node is not asked to answer: what it sends to its pods is never denied. */
static void note_arrival(struct volley *volley, const struct pod *node, const struct seen *seen)
{
	size_t index = (size_t)seen->tag - volley->base;
	if (seen->answer || seen->tag < volley->base || index >= volley->count)
		return;
	struct shot *shot = &volley->shots[index];
	if (seen->protocol == shot->protocol && &volley->pods[shot->destination_pod] == node)
		shot->arrived = shot->answered = true;
}

static void drain_inlets(struct volley *volley, struct pod *node)
{
	/* Those of IPv6 give no header (raw(7), ipv6(7)). */
	struct { struct ip6_hdr header; uint8_t bytes[2048]; } packet;
	for (int i = 0; i < MOST_INLETS; i++) {
		bool v4 = i < MOST_INLETS / 2;
		uint8_t *at = v4 ? (uint8_t *)&packet : packet.bytes;
		size_t header = v4 ? 0 : sizeof(packet.header);
		ssize_t length;
		while ((length = recv(node->inlets[i], at, sizeof(packet.bytes), 0)) > 0) {
			struct seen seen;
			if (!v4)
				packet.header = (struct ip6_hdr){
					.ip6_flow = htonl(6u << 28),
					.ip6_nxt = (uint8_t)(i % (MOST_INLETS / 2) < 3 ? PROTOCOLS[i % (MOST_INLETS / 2)] : IPPROTO_ICMPV6)
				};
			if (read_seen((const uint8_t *)&packet, header + (size_t)length, &seen))
				note_arrival(volley, node, &seen);
		}
	}
}

static bool all_passed(const struct volley *volley)
{
	for (int i = 0; i < volley->pod_count; i++)
		if (!volley->pods[i].is_node && !volley->pods[i].passed)
			return false;
	return true;
}

static void drain_all(struct volley *volley)
{
	for (int i = 0; i < volley->pod_count; i++) {
		drain(volley, &volley->pods[i]);
		if (volley->pods[i].is_node)
			drain_inlets(volley, &volley->pods[i]);
	}
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
		for (int i = 0; i < volley->pod_count; i++)
			if (!volley->pods[i].is_node)
				send_sentinel(&volley->pods[i]);
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
