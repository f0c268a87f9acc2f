/*
 * The Node-API face of the addon: checks what JavaScript passes, calls the parts, and turns -errno into an Error with
 * `code`. Signatures as JavaScript sees them: src/edge/netlink/native.ts.
 */
#ifndef FAIRLEAD_ADDON_FACE_H
#define FAIRLEAD_ADDON_FACE_H

#define NAPI_VERSION 8
#include "addon.h"

#include <node_api.h>

/* value.c */

/* These two throw and return NULL, so that a callback can end with them. */
napi_value throw_errno(napi_env env, const char *what, int error);
napi_value throw_type(napi_env env, const char *message);

/* False when fewer arguments came than are wanted. */
bool get_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *arguments);
void set_number(napi_env env, napi_value object, const char *name, double number);
/* A Buffer that owns the malloc'd bytes from now on. */
napi_value give_bytes(napi_env env, void *bytes, size_t length);

/* transact-face.c */
napi_value transact(napi_env env, napi_callback_info info);
napi_value transact_async(napi_env env, napi_callback_info info);

/* watch-face.c */
napi_value watch(napi_env env, napi_callback_info info);

/* echo-face.c */
napi_value open_echo(napi_env env, napi_callback_info info);
napi_value send_echo(napi_env env, napi_callback_info info);
napi_value receive_echoes(napi_env env, napi_callback_info info);

#endif
