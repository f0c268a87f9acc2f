#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int check_namespace(int fd, struct namespace_id *out)
{
	struct stat st;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	*out = (struct namespace_id){ .fd = fd, .device = st.st_dev, .inode = st.st_ino };
	return 0;
}

/* Opening a file by mistake can do things: a FIFO waits, a device starts. So first only a look at what it is. */
static int open_in_nsfs(const char *path)
{
	struct statfs fs;
	char again[64];
	int handle = open(path, O_PATH | O_CLOEXEC);
	if (handle < 0)
		return -errno;
	int fd = -EINVAL;
	if (fstatfs(handle, &fs) < 0) {
		fd = -errno;
	} else if (fs.f_type == NSFS_MAGIC) {
		snprintf(again, sizeof(again), "/proc/thread-self/fd/%d", handle);
		fd = open(again, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			fd = -errno;
	}
	close(handle);
	return fd;
}

int namespace_open(const char *path, struct namespace_id *out)
{
	int fd = open_in_nsfs(path);
	if (fd < 0)
		return fd;
	int error = check_namespace(fd, out);
	if (error < 0)
		close(fd);
	return error;
}

int namespace_socket(int namespace_fd, int family, int type, int protocol)
{
	if (namespace_fd < 0) {
		int fd = socket(family, type | SOCK_CLOEXEC, protocol);
		return fd < 0 ? -errno : fd;
	}
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return -errno;
	if (setns(namespace_fd, CLONE_NEWNET) < 0) {
		int error = errno;
		close(own);
		return -error;
	}
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);
	int error = errno;
	/*
	 * A thread that stays in a pod's namespace would program the pod as if it were the node, and nobody would
	 * notice. There is no way on from here that is not worse than a restart.
	 */
	if (setns(own, CLONE_NEWNET) < 0) {
		perror("fairlead: cannot return from a pod's network namespace");
		abort();
	}
	close(own);
	return fd < 0 ? -error : fd;
}
