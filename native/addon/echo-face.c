#define _GNU_SOURCE
#include "face.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

napi_value open_echo(napi_env env, napi_callback_info info)
{
	napi_value arguments[1], result;
	int32_t family;
	if (!get_arguments(env, info, 1, arguments) ||
	    napi_get_value_int32(env, arguments[0], &family) != napi_ok || (family != 4 && family != 6))
		return throw_type(env, "openEcho(family)");
	int fd = echo_open(family == 4 ? AF_INET : AF_INET6);
	if (fd < 0)
		return throw_errno(env, "openEcho", fd);
	napi_create_int32(env, fd, &result);
	return result;
}

napi_value send_echo(napi_env env, napi_callback_info info)
{
	napi_value arguments[3];
	int32_t fd;
	uint32_t token;
	void *bytes;
	size_t length;
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	if (!get_arguments(env, info, 3, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
	    napi_get_buffer_info(env, arguments[1], &bytes, &length) != napi_ok ||
	    (length != sizeof(v4.sin_addr) && length != sizeof(v6.sin6_addr)) ||
	    napi_get_value_uint32(env, arguments[2], &token) != napi_ok)
		return throw_type(env, "sendEcho(fd, address, token)");
	bool is_v4 = length == sizeof(v4.sin_addr);
	memcpy(is_v4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, bytes, length);
	int error = is_v4 ? echo_send(fd, (struct sockaddr *)&v4, sizeof(v4), token) :
			    echo_send(fd, (struct sockaddr *)&v6, sizeof(v6), token);
	if (error < 0)
		return throw_errno(env, "sendEcho", error);
	return NULL;
}

/* An array with an object for each answer that has arrived. */
napi_value receive_echoes(napi_env env, napi_callback_info info)
{
	napi_value arguments[1], result;
	int32_t fd;
	struct echo_answer answer;
	if (!get_arguments(env, info, 1, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return throw_type(env, "receiveEchoes(fd)");
	napi_create_array(env, &result);
	/* Whoever floods us waits for the next call. */
	for (uint32_t count = 0; count < 1024; count++) {
		napi_value item, from;
		int outcome = echo_receive(fd, &answer);
		if (outcome == 0)
			break;
		if (outcome < 0)
			return throw_errno(env, "receiveEchoes", outcome);
		napi_create_object(env, &item);
		set_number(env, item, "token", answer.token);
		set_number(env, item, "seconds", (double)answer.nanoseconds / 1e9);
		napi_create_buffer_copy(env, answer.from_length, answer.from, NULL, &from);
		napi_set_named_property(env, item, "from", from);
		napi_set_element(env, result, count, item);
	}
	return result;
}
