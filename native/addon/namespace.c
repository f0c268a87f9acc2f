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

/* @return the thread's own namespace, to be given to leave_namespace, or -errno. */
static int enter_namespace(int namespace_fd)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return -errno;
	if (setns(namespace_fd, CLONE_NEWNET) < 0) {
		int error = errno;
		close(own);
		return -error;
	}
	return own;
}

/*
 * A thread that stays in a pod's namespace would program the pod as if it were the node, without a sign of it. There is
 * no way on from here that is not worse than a restart.
 */
static void leave_namespace(int own)
{
	if (setns(own, CLONE_NEWNET) < 0) {
		perror("fairlead: cannot return from a pod's network namespace");
		abort();
	}
	close(own);
}

int namespace_socket(int namespace_fd, int family, int type, int protocol)
{
	int own = namespace_fd < 0 ? -1 : enter_namespace(namespace_fd);
	if (namespace_fd >= 0 && own < 0)
		return own;
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);
	int error = errno;
	if (own >= 0)
		leave_namespace(own);
	return fd < 0 ? -error : fd;
}

int namespace_write(int namespace_fd, const char *path, const char *text, size_t length)
{
	int own = enter_namespace(namespace_fd);
	if (own < 0)
		return own;
	int result = 0;
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || write(fd, text, length) < 0)
		result = -errno;
	if (fd >= 0)
		close(fd);
	leave_namespace(own);
	return result;
}
