#define _GNU_SOURCE
#include "face.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

napi_value throw_errno(napi_env env, const char *what, int error)
{
	char message[128];
	const char *name = strerrorname_np(-error);
	snprintf(message, sizeof(message), "%s: %s", what, strerror(-error));
	napi_throw_error(env, name == NULL ? "EUNKNOWN" : name, message);
	return NULL;
}

napi_value throw_type(napi_env env, const char *message)
{
	napi_throw_type_error(env, NULL, message);
	return NULL;
}

bool get_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *arguments)
{
	size_t count = wanted;
	return napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == napi_ok && count >= wanted;
}

void set_number(napi_env env, napi_value object, const char *name, double number)
{
	napi_value value;
	napi_create_double(env, number, &value);
	napi_set_named_property(env, object, name, value);
}

static void free_bytes(napi_env env, void *bytes, void *hint)
{
	(void)env;
	(void)hint;
	free(bytes);
}

/* Below this a copy costs less than the bookkeeping of foreign memory. */
enum { WORTH_KEEPING = 16384 };

napi_value give_bytes(napi_env env, void *bytes, size_t length)
{
	napi_value buffer;
	if (length < WORTH_KEEPING ||
	    napi_create_external_buffer(env, length, bytes, free_bytes, NULL, &buffer) != napi_ok) {
		napi_create_buffer_copy(env, length, bytes, NULL, &buffer);
		free(bytes);
	}
	return buffer;
}
