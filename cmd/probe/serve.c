#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Streams that are counted at a time; further ones wait in the listener's queue. */
enum { MOST_STREAMS = 32, ECHO_LOG = 512, CHUNK = 65536, MOST_PORTS = 64 };

struct stream {
	int fd; /* -1: free */
	uint64_t bytes;
	uint64_t sum;
};

struct echo {
	char source[INET6_ADDRSTRLEN];
	uint16_t id;
	uint32_t count;
};

/* A port that answers who it is. */
struct answerer {
	int fd;
	int type; /* SOCK_STREAM or SOCK_DGRAM */
};

struct server {
	const char *name;
	struct answerer answerers[MOST_PORTS];
	size_t answerer_count;
	int stream_listener, echo_listener, icmp, icmp6, sctp, sctp6;
	struct stream streams[MOST_STREAMS];
	struct echo echoes[ECHO_LOG];
	size_t echo_next;
	uint8_t chunk[CHUNK];
};

/* An IPv6 socket serves both families; a kernel without IPv6 gets an IPv4 one. */
static int open_listener(int type, uint16_t port, const char *bind_text)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool dual = bind_text == NULL || inet_pton(AF_INET6, bind_text, &v6.sin6_addr) == 1;
	if (!dual && inet_pton(AF_INET, bind_text, &v4.sin_addr) != 1)
		return -1;
	int off = 0, on = 1;
	int fd = dual ? socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	bool is_v6 = fd >= 0;
	if (!is_v6)
		fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (is_v6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	}
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (bind(fd, is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, is_v6 ? sizeof(v6) : sizeof(v4)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 1024) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int describe(const struct server *server, const struct sockaddr_storage *source, size_t bytes, char *line, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	format_address(source, text, sizeof(text));
	return snprintf(line, size, "{\"name\":\"%s\",\"sawSource\":\"%s\",\"sawPort\":%u,\"bytes\":%zu}\n", server->name,
			text, port_of(source), bytes);
}

static void answer_tcp(struct server *server, int listener)
{
	struct sockaddr_storage source;
	socklen_t length = sizeof(source);
	char line[LINE];
	int fd = accept4(listener, (struct sockaddr *)&source, &length, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	int size = describe(server, &source, 0, line, sizeof(line));
	send(fd, line, (size_t)size, MSG_NOSIGNAL);
	close(fd);
}

/* The control data of the request goes back with the answer: it leaves from the address that was asked. */
static void answer_udp(struct server *server, int fd)
{
	struct sockaddr_storage source;
	char control[256], line[LINE];
	struct iovec iov = { .iov_base = server->chunk, .iov_len = CHUNK };
	struct msghdr message = {
		.msg_name = &source, .msg_namelen = sizeof(source), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t bytes = recvmsg(fd, &message, 0);
	if (bytes < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 0;
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
	}
	iov.iov_base = line;
	iov.iov_len = (size_t)describe(server, &source, (size_t)bytes, line, sizeof(line));
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0 && errno == EINVAL) {
		message.msg_control = NULL;
		message.msg_controllen = 0;
		sendmsg(fd, &message, MSG_NOSIGNAL);
	}
}

static void take_stream(struct server *server)
{
	for (size_t i = 0; i < MOST_STREAMS; i++) {
		if (server->streams[i].fd >= 0)
			continue;
		int fd = accept4(server->stream_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			server->streams[i] = (struct stream){ .fd = fd, .sum = CHECKSUM_START };
		return;
	}
}

static void read_stream(struct server *server, struct stream *stream)
{
	char line[LINE];
	ssize_t bytes = recv(stream->fd, server->chunk, CHUNK, 0);
	if (bytes > 0) {
		stream->sum = checksum(stream->sum, server->chunk, (size_t)bytes);
		stream->bytes += (uint64_t)bytes;
		return;
	}
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes == 0) {
		int size = snprintf(line, sizeof(line), "{\"bytes\":%llu,\"checksum\":\"%016llx\"}\n",
				    (unsigned long long)stream->bytes, (unsigned long long)stream->sum);
		send(stream->fd, line, (size_t)size, MSG_NOSIGNAL);
	}
	close(stream->fd);
	stream->fd = -1;
}

/* Whether there was a packet at all. */
static bool log_echo(struct server *server, int fd)
{
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	ssize_t bytes = recvfrom(fd, server->chunk, CHUNK, 0, (struct sockaddr *)&from, &from_length);
	if (bytes < 0)
		return false;
	const struct iphdr *ip = (const struct iphdr *)server->chunk;
	bool is_v4 = fd == server->icmp;
	/* Raw IPv6 sockets give no header. */
	size_t header = !is_v4 || bytes < (ssize_t)sizeof(*ip) ? 0 : (size_t)ip->ihl * 4;
	if ((is_v4 && header < sizeof(*ip)) || bytes < (ssize_t)(header + sizeof(struct icmphdr)))
		return true;
	const struct icmphdr *icmp = (const struct icmphdr *)(server->chunk + header);
	if (icmp->type != (is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
		return true;
	struct echo seen = { .count = 1 };
	format_address(&from, seen.source, sizeof(seen.source));
	uint16_t id = icmp->un.echo.id;
	if (bytes >= (ssize_t)(header + sizeof(*icmp) + sizeof(id)))
		memcpy(&id, icmp + 1, sizeof(id));
	for (size_t i = 0; i < ECHO_LOG; i++) {
		struct echo *echo = &server->echoes[i];
		if (echo->count > 0 && strcmp(echo->source, seen.source) == 0 && echo->id == id) {
			echo->count++;
			return true;
		}
	}
	seen.id = id;
	server->echoes[server->echo_next] = seen;
	server->echo_next = (server->echo_next + 1) % ECHO_LOG;
	return true;
}

static void tell_echoes(struct server *server)
{
	int fd = accept4(server->echo_listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	FILE *out = fdopen(fd, "w");
	if (out == NULL) {
		close(fd);
		return;
	}
	const char *separator = "";
	fputc('[', out);
	for (size_t i = 0; i < ECHO_LOG; i++) {
		if (server->echoes[i].count == 0)
			continue;
		fprintf(out, "%s{\"source\":\"%s\",\"id\":%u}", separator, server->echoes[i].source,
			ntohs(server->echoes[i].id));
		separator = ",";
	}
	fputs("]\n", out);
	fclose(out);
}

static void run(struct server *server)
{
	enum { FIXED = 6, MOST = FIXED + MOST_PORTS + MOST_STREAMS };
	struct pollfd fds[MOST];
	for (;;) {
		size_t count = 0;
		const int fixed[FIXED] = { server->stream_listener, server->echo_listener, server->icmp, server->icmp6,
					   server->sctp, server->sctp6 };
		for (; count < FIXED; count++)
			fds[count] = (struct pollfd){ .fd = fixed[count], .events = POLLIN };
		struct pollfd *answering = fds + count;
		for (size_t i = 0; i < server->answerer_count; i++, count++)
			fds[count] = (struct pollfd){ .fd = server->answerers[i].fd, .events = POLLIN };
		struct pollfd *streaming = fds + count;
		for (size_t i = 0; i < MOST_STREAMS; i++, count++)
			fds[count] = (struct pollfd){ .fd = server->streams[i].fd, .events = POLLIN };
		if (poll(fds, count, -1) < 0)
			continue;
		if (fds[0].revents)
			take_stream(server);
		/* Whoever reads the list shall find in it what came before it asked. */
		while (log_echo(server, server->icmp))
			;
		while (server->icmp6 >= 0 && log_echo(server, server->icmp6))
			;
		if (fds[1].revents)
			tell_echoes(server);
		while (server->sctp >= 0 && answer_sctp(server->sctp))
			;
		while (server->sctp6 >= 0 && answer_sctp(server->sctp6))
			;
		for (size_t i = 0; i < server->answerer_count; i++) {
			if (answering[i].revents == 0)
				continue;
			if (server->answerers[i].type == SOCK_STREAM)
				answer_tcp(server, server->answerers[i].fd);
			else
				answer_udp(server, server->answerers[i].fd);
		}
		for (size_t i = 0; i < MOST_STREAMS; i++)
			if (streaming[i].revents && server->streams[i].fd >= 0)
				read_stream(server, &server->streams[i]);
	}
}

static bool listen_at(struct server *server, int type, uint16_t port, const char *bind_text)
{
	if (server->answerer_count == MOST_PORTS)
		return false;
	int fd = open_listener(type, port, bind_text);
	if (fd < 0)
		return false;
	server->answerers[server->answerer_count++] = (struct answerer){ .fd = fd, .type = type };
	return true;
}

/* What other ports of this process have is left to them. */
static bool listen_at_all(struct server *server, const char *ports, const char *bind_text)
{
	for (const char *at = ports; at != NULL && *at != '\0'; at += *at == ',') {
		char protocol[4] = "";
		unsigned port = 0;
		if (sscanf(at, "%3[a-z]/%5u", protocol, &port) != 2 || port == 0 || port > 65535)
			return false;
		at += strcspn(at, ",");
		bool tcp = strcmp(protocol, "tcp") == 0;
		if (port == PORT_ANSWER || (tcp && (port == PORT_STREAM || port == PORT_ECHO_LOG)))
			continue;
		if (!listen_at(server, tcp ? SOCK_STREAM : SOCK_DGRAM, (uint16_t)port, bind_text))
			return false;
	}
	return true;
}

/* Who is refused shall be told so each time: hosts send few ICMP errors a second, which makes a refusal look like silence. */
static void lift_icmp_limits(void)
{
	static const char *const limits[][2] = { { "/proc/sys/net/ipv4/icmp_ratelimit", "0" },
						 { "/proc/sys/net/ipv6/icmp/ratelimit", "0" },
						 { "/proc/sys/net/ipv4/icmp_msgs_per_sec", "1000000" },
						 { "/proc/sys/net/ipv4/icmp_msgs_burst", "1000000" } };
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		FILE *file = fopen(limits[i][0], "w");
		if (file == NULL)
			continue;
		fputs(limits[i][1], file);
		fclose(file);
	}
}

static int open_raw(int family, int protocol)
{
	return socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

int serve(const char *name, const char *bind_text, const char *ports)
{
	static struct server server;
	signal(SIGPIPE, SIG_IGN);
	lift_icmp_limits();
	server = (struct server){
		.name = name,
		.stream_listener = open_listener(SOCK_STREAM, PORT_STREAM, bind_text),
		.echo_listener = open_listener(SOCK_STREAM, PORT_ECHO_LOG, bind_text),
		.icmp = open_raw(AF_INET, IPPROTO_ICMP),
		.sctp = open_raw(AF_INET, IPPROTO_SCTP),
		/* A kernel without IPv6 has none; poll disregards it then. */
		.icmp6 = open_raw(AF_INET6, IPPROTO_ICMPV6),
		.sctp6 = open_raw(AF_INET6, IPPROTO_SCTP),
	};
	for (size_t i = 0; i < MOST_STREAMS; i++)
		server.streams[i].fd = -1;
	if (!listen_at(&server, SOCK_STREAM, PORT_ANSWER, bind_text) ||
	    !listen_at(&server, SOCK_DGRAM, PORT_ANSWER, bind_text) || !listen_at_all(&server, ports, bind_text) ||
	    server.stream_listener < 0 || server.echo_listener < 0 || server.icmp < 0) {
		fprintf(stderr, "fairlead-probe: cannot listen: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	printf("ready\n");
	fflush(stdout);
	run(&server);
	return EXIT_SUCCESS;
}
