#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct watch {
	int fd;
	int stop_fd;
	pthread_t thread;
	watch_callback callback;
	void *context;
};

enum { DATAGRAM = 65536, STACK = 65536, RETRY_MS = 10 };

/* Above these: the errno that ended the watch. */
enum outcome { CALM = 0, LOST = -1 };

/* Reads one datagram and passes it on. */
static int read_one(struct watch *watch)
{
	struct sockaddr_nl sender = { 0 };
	socklen_t sender_length = sizeof(sender);
	uint8_t *bytes = malloc(DATAGRAM);
	if (bytes == NULL)
		return LOST;
	ssize_t length = recvfrom(watch->fd, bytes, DATAGRAM, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&sender,
				  &sender_length);
	int error = errno;
	if (length > 0 && length <= DATAGRAM && sender.nl_pid == 0) {
		uint8_t *fitted = realloc(bytes, (size_t)length);
		bytes = fitted == NULL ? bytes : fitted;
		if (watch->callback(watch->context, bytes, (size_t)length))
			return CALM;
		free(bytes);
		return LOST;
	}
	free(bytes);
	if (length > DATAGRAM)
		return LOST;
	if (length >= 0 || error == EAGAIN || error == EINTR)
		return CALM;
	/* ENOBUFS: the socket's buffer ran over. The kernel says so once, and what is lost is lost. */
	return error == ENOBUFS ? LOST : error;
}

/* News that found no room is offered again until it is taken, or the watch is stopped. */
static void end(struct watch *watch, int error)
{
	struct pollfd stop = { .fd = watch->stop_fd, .events = POLLIN };
	while (!watch->callback(watch->context, NULL, (size_t)error))
		if (poll(&stop, 1, RETRY_MS) > 0)
			return;
}

static void *run(void *argument)
{
	struct watch *watch = argument;
	struct pollfd fds[] = { { .fd = watch->fd, .events = POLLIN }, { .fd = watch->stop_fd, .events = POLLIN } };
	bool lost = false;
	for (;;) {
		if (poll(fds, 2, lost ? RETRY_MS : -1) < 0) {
			if (errno == EINTR)
				continue;
			end(watch, errno);
			return NULL;
		}
		if (fds[1].revents != 0)
			return NULL;
		if (lost)
			lost = !watch->callback(watch->context, NULL, 0);
		if (fds[0].revents == 0)
			continue;
		int outcome = read_one(watch);
		if (outcome > 0) {
			end(watch, outcome);
			return NULL;
		}
		if (outcome == LOST)
			lost = !watch->callback(watch->context, NULL, 0);
	}
}

static int start_thread(struct watch *watch)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK < PTHREAD_STACK_MIN ? (size_t)PTHREAD_STACK_MIN : STACK);
	/* The thread inherits the mask: signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&watch->thread, &attributes, run, watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}

int watch_start(int fd, watch_callback callback, void *context, struct watch **out)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return -ENOMEM;
	int stop_fd = eventfd(0, EFD_CLOEXEC);
	if (stop_fd < 0) {
		int error = errno;
		free(watch);
		return -error;
	}
	*watch = (struct watch){ .fd = fd, .stop_fd = stop_fd, .callback = callback, .context = context };
	int error = start_thread(watch);
	if (error < 0) {
		close(watch->stop_fd);
		free(watch);
		return error;
	}
	*out = watch;
	return 0;
}

void watch_stop(struct watch *watch)
{
	uint64_t one = 1;
	while (write(watch->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(watch->thread, NULL);
	close(watch->stop_fd);
	free(watch);
}
