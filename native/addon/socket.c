#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Large enough for the notifications of thousands of routes that change at once. */
static const int RECEIVE_BUFFER = 4 << 20;
/* The kernel answers within the call; this only keeps a fault from becoming a hang. */
static const struct timeval LAST_RESORT = { .tv_sec = 5 };

static int configure(int fd, int protocol, const uint32_t *groups, size_t group_count, uint32_t *port_id)
{
	int one = 1;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	socklen_t length = sizeof(address);
	/* Older kernels lack strict checking: dumps come unfiltered then, and are filtered by their reader. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (protocol == NETLINK_ROUTE)
		setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &RECEIVE_BUFFER, sizeof(RECEIVE_BUFFER)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &RECEIVE_BUFFER, sizeof(RECEIVE_BUFFER));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &LAST_RESORT, sizeof(LAST_RESORT)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	for (size_t i = 0; i < group_count; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
			return -errno;
	*port_id = address.nl_pid;
	return 0;
}

int netlink_open(int namespace_fd, int protocol, const uint32_t *groups, size_t group_count,
		 struct netlink_socket *out)
{
	int fd = namespace_socket(namespace_fd, AF_NETLINK, SOCK_RAW, protocol);
	if (fd < 0)
		return fd;
	int error = configure(fd, protocol, groups, group_count, &out->port_id);
	if (error < 0) {
		close(fd);
		return error;
	}
	out->fd = fd;
	return 0;
}
