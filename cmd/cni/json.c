#include "cni.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
	const char *at;
	const char *end;
};

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL && *cursor->at != '\0')
		cursor->at++;
}

static bool take(struct cursor *cursor, char expected)
{
	skip_space(cursor);
	if (cursor->at >= cursor->end || *cursor->at != expected)
		return false;
	cursor->at++;
	return true;
}

/* Leaves the cursor behind the closing quote; start and length are of the raw text between. */
static bool take_string(struct cursor *cursor, const char **start, size_t *length)
{
	if (!take(cursor, '"'))
		return false;
	*start = cursor->at;
	while (cursor->at < cursor->end && *cursor->at != '"')
		cursor->at += *cursor->at == '\\' && cursor->end - cursor->at > 1 ? 2 : 1;
	if (cursor->at >= cursor->end)
		return false;
	*length = (size_t)(cursor->at - *start);
	cursor->at++;
	return true;
}

/* Any value: strings are stepped over whole, brackets are counted, the rest ends at a comma or a bracket. */
static bool skip_value(struct cursor *cursor)
{
	size_t depth = 0;
	const char *start;
	size_t length;
	skip_space(cursor);
	while (cursor->at < cursor->end) {
		switch (*cursor->at) {
		case '"':
			if (!take_string(cursor, &start, &length))
				return false;
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return true;
			depth--;
			break;
		case ',':
			if (depth == 0)
				return true;
			break;
		default:
			break;
		}
		cursor->at++;
	}
	return false;
}

/* The text without its escapes; NULL for one with \u, which no path and no version needs. */
static char *unescape(const char *raw, size_t length)
{
	char *text = malloc(length + 1);
	size_t used = 0;
	for (size_t i = 0; text != NULL && i < length; i++) {
		char c = raw[i];
		if (c == '\\') {
			static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
			const char *found = ++i < length && raw[i] != '\0' ? strchr(from, raw[i]) : NULL;
			if (found == NULL) {
				free(text);
				return NULL;
			}
			c = to[found - from];
		}
		if (c == '\0') {
			free(text);
			return NULL;
		}
		text[used++] = c;
	}
	if (text != NULL)
		text[used] = '\0';
	return text;
}

char *json_top_level_text(const char *input, size_t length, const char *key)
{
	struct cursor cursor = { .at = input, .end = input + length };
	if (!take(&cursor, '{'))
		return NULL;
	for (;;) {
		const char *name, *value;
		size_t name_length, value_length;
		if (!take_string(&cursor, &name, &name_length) || !take(&cursor, ':'))
			return NULL;
		skip_space(&cursor);
		bool wanted = name_length == strlen(key) && memcmp(name, key, name_length) == 0;
		if (wanted && cursor.at < cursor.end && *cursor.at == '"')
			return take_string(&cursor, &value, &value_length) ? unescape(value, value_length) : NULL;
		if (!skip_value(&cursor) || !take(&cursor, ','))
			return NULL;
	}
}

bool json_append_escaped(struct bytes *out, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	for (; *text != '\0'; text++) {
		uint8_t c = (uint8_t)*text;
		char escape[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
		bool plain = c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
		if (!(plain ? bytes_append(out, text, 1) : bytes_append(out, escape, sizeof(escape))))
			return false;
	}
	return true;
}
