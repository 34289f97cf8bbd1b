/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A folder with programs that are compiled, or written, for a test of what travels; all of it goes at the end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

struct px { char dir[64]; };

static int px_setup(void **state)
{
	struct px *x = calloc(1, sizeof(*x));

	/* Beside the blobs, which are linked to: one file system. */
	strcpy(x->dir, "/tmp/ssi-pack-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	assert_int_equal(chmod(x->dir, 0755), 0);
	*state = x;
	return 0;
}

static int px_teardown(void **state)
{
	struct px *x = *state;

	assert_int_equal(ssi_path_rmtree(x->dir), 0);
	free(x);
	return 0;
}

/* DIR/name, in one of four buffers in turn. */
static inline char *px_path(const struct px *x, const char *name)
{
	static char paths[4][256];
	static unsigned at;
	char *p = paths[at++ % 4];

	assert_true(snprintf(p, sizeof(paths[0]), "%s/%s", x->dir, name) < (int)sizeof(paths[0]));
	return p;
}

static inline void px_write(const struct px *x, const char *name, mode_t mode, const char *text, size_t n)
{
	assert_int_equal(ssi_file_write_atomic(px_path(x, name), text, n, mode), 0);
}

/* By the compiler, in DIR: "-o NAME …". */
static inline void px_compile(const struct px *x, const char *source, const char *args)
{
	_cleanup_free_ char *line = NULL;
	struct ssi_err e = { 0 };

	px_write(x, "source.c", 0644, source, strlen(source));
	assert_true(asprintf(&line, "cd %s && ${CC:-cc} -w source.c %s", x->dir, args) > 0);
	if (ssi_spawn_run((char *[]){ "sh", "-c", line, NULL }, 60000, &e) < 0)
		fail_msg("%s: %s", line, e.text);
}
