/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output of commands on nodes, line by line. Called by "exec". A line longer than LINE_MAX_BYTES is printed in pieces. */
#include "ssi/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libssi/base/buf.h"
#include "libssi/comm/control.h"

#define LINE_MAX_BYTES 65536

struct stream {
	char *node;
	int fd;
	struct ssi_buf text;         /* an unfinished line, or everything (OUTPUT_GATHER) */
};

struct output {
	enum output_mode mode;
	json_t *index;               /* "FD NODE" → place in streams */
	struct stream *streams;
	size_t n, cap;
};

struct output *output_new(enum output_mode mode)
{
	struct output *o = calloc(1, sizeof(*o));

	if (o) {
		o->mode = mode;
		o->index = json_object();
	}
	return o;
}

void output_free(struct output *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n; i++) {
		free(o->streams[i].node);
		ssi_buf_free(&o->streams[i].text);
	}
	free(o->streams);
	json_decref(o->index);
	free(o);
}

static char *stream_key(const char *node, int fd)
{
	char *key;

	return asprintf(&key, "%d %s", fd, node) < 0 ? NULL : key;
}

static struct stream *stream_find(const struct output *o, const char *node, int fd)
{
	_cleanup_free_ char *key = stream_key(node, fd);
	const json_t *at = key ? json_object_get(o->index, key) : NULL;

	return at ? &o->streams[json_integer_value(at)] : NULL;
}

static struct stream *stream_new(struct output *o, const char *node, int fd)
{
	_cleanup_free_ char *key = stream_key(node, fd), *name = strdup(node);

	if (o->n == o->cap) {
		size_t cap = o->cap ? 2 * o->cap : 16;
		struct stream *streams = reallocarray(o->streams, cap, sizeof(*streams));

		if (!streams)
			return NULL;
		o->streams = streams;
		o->cap = cap;
	}
	if (!key || !name || json_object_set_new(o->index, key, json_integer((json_int_t)o->n)) < 0)
		return NULL;
	o->streams[o->n] = (struct stream){ .node = TAKE_PTR(name), .fd = fd };
	return &o->streams[o->n++];
}

static FILE *stream_file(const struct stream *s)
{
	return s->fd == 2 ? stderr : stdout;
}

/* Print whole lines; the rest stays. */
static void stream_lines(struct stream *s)
{
	size_t done = 0;

	for (;;) {
		const char *line = s->text.data + done, *nl = memchr(line, '\n', s->text.len - done);
		size_t len = nl ? (size_t)(nl - line) : s->text.len - done;

		if (!nl && len < LINE_MAX_BYTES)
			break;
		fprintf(stream_file(s), "%s: ", s->node);
		fwrite(line, 1, len, stream_file(s));
		fputc('\n', stream_file(s));
		done += len + (nl != NULL);
	}
	ssi_buf_consume(&s->text, done);
	fflush(stream_file(s));
}

int output_add(struct output *o, const char *node, int fd, const char *p, size_t n)
{
	struct stream *s = stream_find(o, node, fd);

	if (!s)
		s = stream_new(o, node, fd);
	if (!s)
		return -ENOMEM;
	if (o->mode == OUTPUT_RAW) {
		fwrite(p, 1, n, stream_file(s));
		fflush(stream_file(s));
		return 0;
	}
	if (!n)
		return 0;
	if (ssi_buf_add(&s->text, p, n) < 0)
		return -ENOMEM;
	if (o->mode == OUTPUT_PREFIX)
		stream_lines(s);
	return 0;
}

void output_flush(struct output *o)
{
	if (o->mode != OUTPUT_PREFIX)
		return;
	for (size_t i = 0; i < o->n; i++)
		if (o->streams[i].text.len) {
			ssi_buf_adds(&o->streams[i].text, "\n");
			stream_lines(&o->streams[i]);
		}
}

json_t *output_text(const struct output *o, const char *node, int fd)
{
	const struct stream *s = stream_find(o, node, fd);

	return ssi_control_text(s && s->text.data ? s->text.data : "");
}
