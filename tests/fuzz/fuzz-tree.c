/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a tree, in two pieces, and as the zstd frame of one. Nothing is ever outside of the folder, and there are never more entries than may be. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/path.h"
#include "ssi/rexec/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 20u

static char folder[] = "/tmp/ssi-fuzz-XXXXXX", inner[64];

static void gone(void)
{
	ssi_path_rmtree(folder);
}

/* Entries of a folder and all below it; what it may contain is plain. */
static unsigned count(int at)
{
	DIR *d = fdopendir(at);
	struct dirent *de;
	unsigned n = 0;

	while (d && (de = readdir(d))) {
		struct stat st;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		n++;
		if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (st.st_mode & (S_ISUID | S_ISGID | S_ISVTX)))
			abort();
		if (S_ISDIR(st.st_mode))
			n += count(openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	}
	if (d)
		closedir(d);
	return n;
}

static void check(void)
{
	unsigned outer = count(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (outer > MOST + 1 || outer != 1 + count(open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
		abort();
	ssi_path_rmtree(inner);
}

static int begin(void)
{
	if (mkdir(inner, 0700) < 0)
		abort();
	return open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssi_tree_reader *r;
	int dir, fd;

	if (!inner[0]) {
		if (!mkdtemp(folder))
			abort();
		atexit(gone);
		snprintf(inner, sizeof(inner), "%s/in", folder);
	}
	dir = begin();
	if (ssi_tree_read(dir, MOST, 1u << 20, &r, NULL) < 0)
		abort();
	if (ssi_tree_feed(r, data, size / 3, NULL) >= 0)
		ssi_tree_feed(r, data + size / 3, size - size / 3, NULL);
	ssi_tree_read_end(r, NULL);
	close(dir);
	check();
	dir = begin();
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (ssi_fd_write_all(fd, data, size) >= 0)
		ssi_tree_unpack(fd, dir, MOST, 1u << 20, NULL);
	close(fd);
	close(dir);
	check();
	return 0;
}
