/* The parts of the addon: each does one thing with the kernel and reports failures as a negative errno. */
#ifndef FAIRLEAD_ADDON_H
#define FAIRLEAD_ADDON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* namespace.c */

struct namespace_id {
	int fd;
	uint64_t device;
	uint64_t inode;
};

/* Opens a network namespace file; -EINVAL for a file of any other kind, which is neither opened nor waited for. */
int namespace_open(const char *path, struct namespace_id *out);

/* Opens a socket that belongs to the namespace (-1: this process' own); a file descriptor or -errno. */
int namespace_socket(int namespace_fd, int family, int type, int protocol);

/* Writes a text into a file as it is seen from inside of the namespace, as those under /proc/sys/net are; 0 or -errno. */
int namespace_write(int namespace_fd, const char *path, const char *text, size_t length);

/* socket.c */

struct netlink_socket {
	int fd;
	uint32_t port_id;
};

/* groups: multicast groups to join, by number. */
int netlink_open(int namespace_fd, int protocol, const uint32_t *groups, size_t group_count,
		 struct netlink_socket *out);

/* transact.c */

struct reply {
	uint8_t *bytes;
	size_t length;
	size_t capacity;
	bool interrupted; /* NLM_F_DUMP_INTR: the dump is not a consistent picture */
	bool more;	  /* there were more bytes than were wanted at once */
};

/*
 * Sends the messages of the buffer with consecutive sequence numbers and gathers what the kernel answers until each
 * message that asks for an acknowledgement, and each dump, has had its end. The sequence numbers are written into the
 * buffer; the first one used is returned through first_sequence.
 */
int netlink_transact(int fd, uint8_t *messages, size_t length, uint32_t *first_sequence, struct reply *out);

/*
 * One dump in pieces: the kernel goes on with it as it is read. length 0: the next piece of the dump of *sequence. Each
 * piece has at least that many bytes, or is the last one.
 */
int netlink_dump(int fd, uint8_t *message, size_t length, uint32_t *sequence, size_t piece, struct reply *out);
void reply_free(struct reply *reply);

/* watch.c */

struct watch;

/*
 * Called on the watching thread: bytes NULL says that notifications were lost, or, with an errno as the length, that the
 * watch has ended for it and this was the last call. True: taken, and the bytes are the
 * callee's. False: there is no room for it now, and the bytes stay the caller's.
 */
typedef bool (*watch_callback)(void *context, uint8_t *bytes, size_t length);

int watch_start(int fd, watch_callback callback, void *context, struct watch **out);
/* Ends and joins the thread; no callback runs afterwards. */
void watch_stop(struct watch *watch);

/* echo.c */

struct sockaddr;

struct echo_answer {
	uint32_t token;
	int64_t nanoseconds; /* from sending to its arrival at the socket, however late it is read */
	uint8_t from[16];    /* who sent it */
	size_t from_length;  /* 4 or 16 */
};

/* A socket that sends ICMP echoes and never blocks; a file descriptor or -errno. */
int echo_open(int family);
int echo_send(int fd, const struct sockaddr *to, size_t to_length, uint32_t token);
/* 1: an answer; 0: there is none now; or -errno. */
int echo_receive(int fd, struct echo_answer *out);

#endif
