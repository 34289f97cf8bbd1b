/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fetches an image by HTTP, checking it as it comes. Called by image.c. The digest is of the boot's arguments, so nothing between this machine and its boot
 * script needs to be trusted again. What it does not do well: a try that breaks off begins anew; a part that came is not kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi-init/fetch.h"
#include "ssi-init/http.h"
#include "ssi-init/outcome.h"

#define SILENT_MS 10000         /* without a byte: the try is over */
#define NOTE_MS 1000            /* how often it notes where it is, */
#define SAY_MS 10000            /* and says so on the console */
#define CHUNK (256 * 1024)

int fetch_available(const char *meminfo, uint64_t *ret)
{
	const char *at = strstr(meminfo, "MemAvailable:");
	unsigned long long kb;

	if (!at || sscanf(at, "MemAvailable: %llu kB", &kb) != 1)
		return -ENODATA;
	*ret = (uint64_t)kb * 1024;
	return 0;
}

int fetch_room(uint64_t available, uint64_t size, struct ssi_err *e)
{
	char have[16], image[16], reserve[16];

	if (available >= FETCH_RESERVE && available - FETCH_RESERVE >= size)
		return 0;
	ssi_num_format_size(have, sizeof(have), available);
	ssi_num_format_size(image, sizeof(image), size);
	ssi_num_format_size(reserve, sizeof(reserve), FETCH_RESERVE);
	return ssi_errf(e, -EFBIG, "memory too small for root = ram: %s free, the image takes %s and the node %s", have, image, reserve);
}

static int fetch_check_room(uint64_t size, struct ssi_err *e)
{
	_cleanup_free_ char *text = NULL;
	uint64_t available = 0;
	int r = ssi_file_read("/proc/meminfo", 1 << 16, &text, NULL);

	if (r == 0)
		r = fetch_available(text, &available);
	return r < 0 ? ssi_errno(e, r, "/proc/meminfo") : fetch_room(available, size, e);
}

/* Above the descriptors that a stage's child has from PID 1. */
static int fetch_file(struct ssi_err *e)
{
	_cleanup_close_ int fd = memfd_create("root.erofs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, OUTCOME_FD + 1);

	return high < 0 ? ssi_errno(e, -errno, "memory for the image") : high;
}

/* Where it is, for people and for whoever kills this process. */
struct progress { uint64_t total, noted_ms, said_ms; };

static void progress_tell(struct progress *p, uint64_t got)
{
	uint64_t now = ssi_clock_mono_ms();
	char a[16], b[16];

	if (now - p->noted_ms < NOTE_MS)
		return;
	p->noted_ms = now;
	ssi_num_format_size(a, sizeof(a), got);
	ssi_num_format_size(b, sizeof(b), p->total);
	outcome_note("fetching the image, %s of %s", a, b);
	if (now - p->said_ms < SAY_MS)
		return;
	p->said_ms = now;
	log_info("image: %s of %s", a, b);
}

static int fetch_body(struct http *h, int fd, uint64_t size, struct ssi_hash *hash, struct ssi_err *e)
{
	_cleanup_free_ char *chunk = malloc(CHUNK);
	struct progress p = { .total = size, .said_ms = ssi_clock_mono_ms() };
	uint64_t got = 0;
	char a[16], b[16];

	if (!chunk)
		return ssi_errno(e, -ENOMEM, "the image");
	while (got < size) {
		ssize_t n = http_read(h, chunk, size - got < CHUNK ? size - got : CHUNK, e);
		int r = n < 0 ? (int)n : 0;

		if (n == 0)
			r = ssi_errf(e, -ECONNRESET, "the connection ended");
		if (r < 0)
			return ssi_err_prefix(e, "after %s of %s", ssi_num_format_size(a, sizeof(a), got), ssi_num_format_size(b, sizeof(b), size));
		ssi_hash_add(hash, chunk, (size_t)n);
		r = ssi_fd_write_all(fd, chunk, (size_t)n);
		if (r < 0)
			return ssi_errno(e, r, "memory for the image");
		got += (uint64_t)n;
		progress_tell(&p, got);
	}
	return 0;
}

static int fetch_checked(struct http *h, int fd, const struct ssi_bootargs *a, struct ssi_err *e)
{
	struct ssi_hash *hash;
	char digest[SSI_HASH_HEX];
	int r;

	if (h->length != a->root_size)
		return ssi_errf(e, -EBADMSG, "it has %llu bytes and should have %llu", (unsigned long long)h->length, (unsigned long long)a->root_size);
	hash = ssi_hash_new();
	if (!hash)
		return ssi_errno(e, -ENOMEM, "a digest");
	r = fetch_body(h, fd, a->root_size, hash, e);
	ssi_hash_end(hash, digest);
	if (r == 0 && strcmp(digest, a->root_sha256) != 0)
		r = ssi_errf(e, -EBADMSG, "it was damaged, on its way or on the master: its digest is %.16s..., not %.16s...", digest, a->root_sha256);
	return r;
}

int fetch_image(const struct ssi_bootargs *a, int *ret_fd, struct ssi_err *e)
{
	_cleanup_close_ int fd = -1;
	struct in_addr server;
	const char *path;
	struct http h;
	uint16_t port;
	int r = ssi_bootargs_http(a->root, &server, &port, &path);

	if (r < 0)
		return ssi_errf(e, r, "ssi.root=%s is no image to be fetched", a->root);
	r = fetch_check_room(a->root_size, e);
	if (r < 0)
		return r;
	fd = fetch_file(e);
	if (fd < 0)
		return fd;
	outcome_note("asking for %s", a->root + strlen("ram:"));
	r = http_open(&h, server, port, path, SILENT_MS, e);
	if (r < 0)
		return r;
	r = fetch_checked(&h, fd, a, e);
	http_close(&h);
	if (r < 0)
		return ssi_err_prefix(e, "%s", a->root + strlen("ram:")), r;
	/* What was checked is what will be mounted. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return ssi_errno(e, -errno, "sealing the image");
	*ret_fd = TAKE_FD(fd);
	return 0;
}
