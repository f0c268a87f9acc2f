#include "cni.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
	const char *at;
	const char *end;
};

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && *cursor->at != '\0' && strchr(" \t\r\n", *cursor->at) != NULL)
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

/* Four hexadecimal digits, or -1. */
static int32_t take_hex(struct cursor *cursor)
{
	int32_t value = 0;
	if (cursor->end - cursor->at < 4)
		return -1;
	for (const char *end = cursor->at + 4; cursor->at < end; cursor->at++) {
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *digit = *cursor->at == '\0' ? NULL : strchr(digits, *cursor->at);
		if (digit == NULL)
			return -1;
		ptrdiff_t index = digit - digits;
		value = value << 4 | (int32_t)(index < 16 ? index : index - 6);
	}
	return value;
}

/* What stands behind \u; a pair of surrogates is one character (RFC 8259, section 7). -1: none. */
static int32_t take_character(struct cursor *cursor)
{
	int32_t first = take_hex(cursor);
	if (first < 0xd800 || first > 0xdfff)
		return first;
	if (first > 0xdbff || cursor->end - cursor->at < 6 || cursor->at[0] != '\\' || cursor->at[1] != 'u')
		return -1;
	cursor->at += 2;
	int32_t second = take_hex(cursor);
	return second < 0xdc00 || second > 0xdfff ? -1 : 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

/* Never more bytes than the escape had. */
static char *put_utf8(char *out, int32_t character)
{
	if (character < 0x80) {
		*out++ = (char)character;
		return out;
	}
	int continuations = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
	static const int32_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };
	*out++ = (char)(lead[continuations] | character >> (6 * continuations));
	while (continuations-- > 0)
		*out++ = (char)(0x80 | (character >> (6 * continuations) & 0x3f));
	return out;
}

/* The text without its escapes; NULL where they are wrong, and for a text with a zero byte, which C cannot hold. */
static char *unescape(const char *raw, size_t length)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	struct cursor cursor = { .at = raw, .end = raw + length };
	char *text = malloc(length + 1), *out = text;
	while (text != NULL && cursor.at < cursor.end) {
		int32_t character = (uint8_t)*cursor.at++;
		if (character != '\\') {
			if (character == '\0')
				goto wrong;
			*out++ = (char)character;
			continue;
		}
		if (cursor.at >= cursor.end || *cursor.at == '\0')
			goto wrong;
		char kind = *cursor.at++;
		const char *found = strchr(from, kind);
		character = kind == 'u' ? take_character(&cursor) : found == NULL ? -1 : to[found - from];
		if (character <= 0)
			goto wrong;
		out = put_utf8(out, character);
	}
	if (text != NULL)
		*out = '\0';
	return text;
wrong:
	free(text);
	return NULL;
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
