/*
 * fairlead-probe: the process of a pod in the lab (serve), the packets that prove a network (client), and a namespace to
 * send them from (hold).
 * Ports: 8080 and those that are asked for answer who it is and whom it saw, over TCP and UDP; 8081 counts a TCP stream;
 * 8082 lists the ICMP echo requests that came in. Answers are one line of JSON. Every port of SCTP is answered by hand.
 */
#ifndef FAIRLEAD_PROBE_H
#define FAIRLEAD_PROBE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { PORT_ANSWER = 8080, PORT_STREAM = 8081, PORT_ECHO_LOG = 8082, LINE = 1024, ANSWER = 32768 };

/* Text of an address without its port; IPv4 addresses of a dual-stack socket as IPv4. */
void format_address(const struct sockaddr_storage *address, char *text, size_t size);
uint16_t port_of(const struct sockaddr_storage *address);
bool parse_address(const char *text, uint16_t port, struct sockaddr_storage *address);

/* FNV-1a, 64 bits, continued from an earlier value. */
uint64_t checksum(uint64_t value, const uint8_t *bytes, size_t length);
static const uint64_t CHECKSUM_START = 0xcbf29ce484222325;

/* RFC 1071, of an ICMP message. */
uint16_t internet_checksum(const void *bytes, size_t length);

/*
 * serve.c: runs until it is killed. bind_text: an address to listen on, or NULL for all. ports: more of them that answer,
 * tcp/80,udp/53, or NULL.
 */
int serve(const char *name, const char *bind_text, const char *ports);

/*
 * volley.c: connections on standard input, one a line, "." fires them; one line of figures on standard output for each
 * volley. pods: PATH=ADDRESS, the namespace of each and an IPv4 address of its node; PATH alone is a node.
 */
int fire_volleys(char **pods, int pod_count);

/* hold.c: an empty network namespace, which lives until standard input ends. */
int hold(void);

/* client.c: one target a line on standard input, one answer a line on standard output. */
int client(void);

struct target {
	char id[64];
	char protocol[8]; /* tcp, udp, sctp, icmp, stream */
	struct sockaddr_storage address;
	socklen_t address_length;
	uint64_t size;	/* payload bytes (udp, icmp), or bytes to stream */
	bool dont_fragment;
	int timeout_ms;
};

struct outcome {
	bool ok;
	int64_t micros;
	char error[128];
	char answer[ANSWER]; /* what the other end said, or empty */
	uint32_t mtu;	   /* what the kernel, or an ICMP error, says fits; 0 where nobody said */
	char offender[INET6_ADDRSTRLEN];
};

/* One file per protocol. */
void probe_tcp(const struct target *target, struct outcome *out);
void probe_udp(const struct target *target, struct outcome *out);
void probe_icmp(const struct target *target, struct outcome *out);
void probe_sctp(const struct target *target, struct outcome *out);
/* Whether there was a packet at all. */
bool answer_sctp(int fd);
/* Ports and tag as they stand in the packet. Returns its length. */
size_t write_sctp_init(uint8_t *at, uint16_t source, uint16_t destination, uint32_t tag);
void probe_stream(const struct target *target, struct outcome *out);

/* probe.c: what they share. */
int open_socket(const struct target *target, int type, int protocol, struct outcome *out);
bool connect_socket(int fd, const struct target *target, struct outcome *out);
void fail_errno(struct outcome *out, const char *what);
bool read_answer(int fd, struct outcome *out);
void read_path_error(int fd, struct outcome *out);
int64_t now_micros(void);

/* shot.c: the first packet of a connection. What is not ours has tags below. */
enum { FIRST_TAG = 20000, MOST_SHOTS = 4000 };

struct shot {
	int source_pod, destination_pod;
	int protocol; /* IPPROTO_… */
	struct sockaddr_storage from, to;
	uint16_t tag, sequence; /* port of the client, or identifier of an echo */
	bool arrived, answered;
};

struct seen {
	int protocol;
	struct sockaddr_storage from, to;
	uint16_t tag, sequence, port; /* port of the server, 0 for ICMP */
	bool answer;
};

bool parse_shot(const char *line, int pods, struct shot *shot);
size_t write_shot(const struct shot *shot, uint8_t *packet);
bool read_seen(const uint8_t *bytes, size_t length, struct seen *seen);
bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

#endif
