/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main() of a fuzz target that was not linked with libFuzzer: runs it over the files given, or over its own corpus,
 * $srcdir/tests/fuzz/corpus/NAME, so that what a fuzzer once found is tested by every make check.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"

#define REPLAY_MAX (32u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(const char *path)
{
	_cleanup_free_ char *text = NULL, *copy = NULL;
	size_t n = 0;
	int r = ssi_file_read(path, REPLAY_MAX, &text, &n);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		exit(1);
	}
	/* A copy of the exact size, so that a sanitizer sees a read past its end. */
	copy = malloc(n ? n : 1);
	if (!copy)
		abort();
	memcpy(copy, text, n);
	LLVMFuzzerTestOneInput((const uint8_t *)copy, n);
}

static int replay_corpus(const char *program)
{
	const char *srcdir = getenv("srcdir"), *slash = strrchr(program, '/');
	_cleanup_free_ char *folder = NULL;
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *de;
	int n = 0;

	folder = ssi_path_join3(srcdir ? srcdir : ".", "tests/fuzz/corpus", slash ? slash + 1 : program);
	d = folder ? opendir(folder) : NULL;
	if (!d) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return 1;
	}
	while ((de = readdir(d))) {
		_cleanup_free_ char *path = NULL;

		if (de->d_name[0] == '.')
			continue;
		path = ssi_path_join(folder, de->d_name);
		if (!path)
			abort();
		replay_file(path);
		n++;
	}
	printf("%d inputs\n", n);
	return n == 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return replay_corpus(argv[0]);
	for (int i = 1; i < argc; i++)
		replay_file(argv[i]);
	return 0;
}
