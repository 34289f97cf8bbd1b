/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What commands on several nodes write, put together so that a person or a script can read it: whole lines, prefixed "n01: ", from
 * whichever node has one first; or unchanged, or gathered for -o json.
 */
#include <jansson.h>
#include <stddef.h>

enum output_mode { OUTPUT_RAW, OUTPUT_PREFIX, OUTPUT_GATHER };
struct output;

struct output *output_new(enum output_mode mode);            /* NULL: out of memory */
void output_free(struct output *o);
/* Bytes of a node's standard output (fd 1) or error (fd 2). */
int output_add(struct output *o, const char *node, int fd, const char *p, size_t n);
/* Print what has no newline at its end yet, with one. */
void output_flush(struct output *o);
/* OUTPUT_GATHER: what a node wrote, "" if nothing; the caller's. */
json_t *output_text(const struct output *o, const char *node, int fd);
