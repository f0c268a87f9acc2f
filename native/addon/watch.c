#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
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

enum { DATAGRAM = 65536, STACK = 65536 };

static void read_one(struct watch *watch)
{
	uint8_t *bytes = malloc(DATAGRAM);
	if (bytes == NULL)
		return;
	ssize_t length = recv(watch->fd, bytes, DATAGRAM, MSG_DONTWAIT);
	if (length > 0) {
		uint8_t *fitted = realloc(bytes, (size_t)length);
		watch->callback(watch->context, fitted == NULL ? bytes : fitted, (size_t)length);
		return;
	}
	free(bytes);
	/* The buffer ran over: the kernel says so once, and what is lost is lost. */
	if (length < 0 && errno == ENOBUFS)
		watch->callback(watch->context, NULL, 0);
}

static void *run(void *argument)
{
	struct watch *watch = argument;
	struct pollfd fds[] = { { .fd = watch->fd, .events = POLLIN }, { .fd = watch->stop_fd, .events = POLLIN } };
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[1].revents != 0)
			return NULL;
		if (fds[0].revents != 0)
			read_one(watch);
	}
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
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK < PTHREAD_STACK_MIN ? PTHREAD_STACK_MIN : STACK);
	int error = pthread_create(&watch->thread, &attributes, run, watch);
	pthread_attr_destroy(&attributes);
	if (error != 0) {
		close(watch->stop_fd);
		free(watch);
		return -error;
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
