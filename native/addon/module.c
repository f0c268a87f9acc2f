#define _GNU_SOURCE
#include "face.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static napi_value open_namespace(napi_env env, napi_callback_info info)
{
	napi_value arguments[1], result;
	size_t length;
	if (!get_arguments(env, info, 1, arguments) ||
	    napi_get_value_string_utf8(env, arguments[0], NULL, 0, &length) != napi_ok)
		return throw_type(env, "openNamespace(path)");
	char *path = malloc(length + 1);
	if (path == NULL)
		return throw_errno(env, "openNamespace", -ENOMEM);
	napi_get_value_string_utf8(env, arguments[0], path, length + 1, &length);
	struct namespace_id id;
	/* A path with a zero inside would name another file than it seems to. */
	int error = strlen(path) == length ? namespace_open(path, &id) : -EINVAL;
	free(path);
	if (error < 0)
		return throw_errno(env, "openNamespace", error);
	napi_create_object(env, &result);
	set_number(env, result, "fd", id.fd);
	set_number(env, result, "device", (double)id.device);
	set_number(env, result, "inode", (double)id.inode);
	return result;
}

/* @return a malloc'd text, or NULL for a value that is none, or that a zero inside would cut short. */
static char *get_text(napi_env env, napi_value value)
{
	size_t length;
	if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok)
		return NULL;
	char *text = malloc(length + 1);
	if (text == NULL)
		return NULL;
	napi_get_value_string_utf8(env, value, text, length + 1, &length);
	if (strlen(text) == length)
		return text;
	free(text);
	return NULL;
}

static napi_value write_in_namespace(napi_env env, napi_callback_info info)
{
	napi_value arguments[3];
	int32_t namespace_fd;
	if (!get_arguments(env, info, 3, arguments) ||
	    napi_get_value_int32(env, arguments[0], &namespace_fd) != napi_ok)
		return throw_type(env, "writeInNamespace(namespaceFd, path, text)");
	char *path = get_text(env, arguments[1]);
	char *text = get_text(env, arguments[2]);
	int error = path == NULL || text == NULL ? -EINVAL : namespace_write(namespace_fd, path, text, strlen(text));
	free(path);
	free(text);
	return error < 0 ? throw_errno(env, "writeInNamespace", error) : NULL;
}

static napi_value close_fd(napi_env env, napi_callback_info info)
{
	napi_value arguments[1];
	int32_t fd;
	if (!get_arguments(env, info, 1, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return throw_type(env, "closeFd(fd)");
	if (close(fd) < 0)
		return throw_errno(env, "closeFd", -errno);
	return NULL;
}

static napi_value open_socket(napi_env env, napi_callback_info info)
{
	napi_value arguments[3], result;
	int32_t protocol, namespace_fd;
	uint32_t count, groups[32];
	if (!get_arguments(env, info, 3, arguments) ||
	    napi_get_value_int32(env, arguments[0], &protocol) != napi_ok ||
	    napi_get_value_int32(env, arguments[1], &namespace_fd) != napi_ok ||
	    napi_get_array_length(env, arguments[2], &count) != napi_ok || count > sizeof(groups) / sizeof(*groups))
		return throw_type(env, "openSocket(protocol, namespaceFd, groups)");
	for (uint32_t i = 0; i < count; i++) {
		napi_value group;
		if (napi_get_element(env, arguments[2], i, &group) != napi_ok ||
		    napi_get_value_uint32(env, group, &groups[i]) != napi_ok)
			return throw_type(env, "openSocket: groups are numbers");
	}
	struct netlink_socket opened;
	int error = netlink_open(namespace_fd, protocol, groups, count, &opened);
	if (error < 0)
		return throw_errno(env, "openSocket", error);
	napi_create_object(env, &result);
	set_number(env, result, "fd", opened.fd);
	set_number(env, result, "portId", opened.port_id);
	return result;
}

static napi_value peer_credentials(napi_env env, napi_callback_info info)
{
	napi_value arguments[1], result;
	int32_t fd;
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	if (!get_arguments(env, info, 1, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return throw_type(env, "peerCredentials(fd)");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return throw_errno(env, "peerCredentials", -errno);
	napi_create_object(env, &result);
	set_number(env, result, "pid", credentials.pid);
	set_number(env, result, "uid", credentials.uid);
	set_number(env, result, "gid", credentials.gid);
	return result;
}

static const struct {
	const char *name;
	napi_callback function;
} FUNCTIONS[] = {
	{ "openNamespace", open_namespace }, { "closeFd", close_fd },
	{ "writeInNamespace", write_in_namespace },
	{ "openSocket", open_socket },	     { "transact", transact },
	{ "transactAsync", transact_async }, { "watch", watch },
	{ "peerCredentials", peer_credentials }, { "openEcho", open_echo },
	{ "dumpAsync", dump_async },	     { "sendEcho", send_echo },	     { "receiveEchoes", receive_echoes },
};

NAPI_MODULE_INIT()
{
	for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(*FUNCTIONS); i++) {
		napi_value function;
		napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS[i].function, NULL, &function);
		napi_set_named_property(env, exports, FUNCTIONS[i].name, function);
	}
	return exports;
}
