/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssi-agent/carry-talk: any words of the other end, who has the key. The first byte says which end this is: odd: a giver, whose answers are about what may be had
 * and no more; even: a taker, in whose folder is nothing afterwards but what it was to take, whole.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "ssi-agent/carry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* MAY and LARGE may be had, or are to be taken; SECRET may not; GONE may, and is not there. */
enum { MAY, LARGE, GONE, SECRET, KINDS };
static struct item items[KINDS];
static const size_t sizes[KINDS] = { 5, 70000, 3, 7 };
static uint8_t bytes[70000];

static char folder[] = "/tmp/ssi-fuzz-XXXXXX", blobs[64];

/* --- the session --- */

static struct { const uint8_t *data; size_t left; unsigned turns; struct ssi_buf said; } line;

int ssi_tls_client(int fd, const struct ssi_identity *id, const uint8_t key[SSI_TLS_KEY], struct ssi_tls **ret, struct ssi_err *e)
{
	*ret = (struct ssi_tls *)&line;
	return 0;
}

int ssi_tls_server(int fd, ssi_tls_key_fn key, void *userdata, struct ssi_tls **ret, struct ssi_err *e)
{
	uint8_t got[SSI_TLS_KEY];

	if (key(NULL, got, userdata) != 0 || got[0] != 'k')
		abort();
	return ssi_tls_client(fd, NULL, got, ret, e);
}

int ssi_tls_handshake(struct ssi_tls *t, struct ssi_err *e)
{
	return 0;
}

/* Every third call has to wait for the socket. */
ssize_t ssi_tls_read(struct ssi_tls *t, void *p, size_t n, struct ssi_err *e)
{
	if (line.turns++ % 3 == 2)
		return -EAGAIN;
	n = n < line.left ? n : line.left;
	n = n < 1000 ? n : 1000;
	memcpy(p, line.data, n);
	line.data += n;
	line.left -= n;
	return (ssize_t)n;
}

ssize_t ssi_tls_write(struct ssi_tls *t, const void *p, size_t n, struct ssi_err *e)
{
	if (line.turns++ % 3 == 2)
		return -EAGAIN;
	n = n < 1000 ? n : 1000;
	ssi_buf_add(&line.said, p, n);
	return (ssize_t)n;
}

bool ssi_tls_wants_write(const struct ssi_tls *t)
{
	return false;
}

void ssi_tls_bye(struct ssi_tls *t) {}
void ssi_tls_free(struct ssi_tls *t) {}

/* --- the folder --- */

static char *path_of(const struct item *i)
{
	char hex[SSI_HASH_HEX];

	ssi_hash_hex(i->digest, SSI_HASH_BYTES, hex);
	return ssi_path_join(blobs, hex);
}

static void gone(void)
{
	ssi_path_rmtree(folder);
}

static void begin(void)
{
	char hex[SSI_HASH_HEX];

	if (!mkdtemp(folder) || atexit(gone))
		abort();
	snprintf(blobs, sizeof(blobs), "%s/blobs", folder);
	memset(bytes, 'x', sizeof(bytes));
	for (int i = 0; i < KINDS; i++) {
		struct ssi_hash *h = ssi_hash_new();

		ssi_hash_add(h, bytes, sizes[i]);
		ssi_hash_end(h, hex);
		ssi_hash_unhex(hex, items[i].digest, SSI_HASH_BYTES);
		items[i].size = sizes[i];
	}
}

static void put(int i)
{
	_cleanup_free_ char *path = path_of(&items[i]);

	if (ssi_file_write_atomic(path, bytes, sizes[i], 0600) < 0)
		abort();
}

/* --- the giver --- */

static void answer(struct ssi_buf *b, const uint8_t *digest)
{
	uint64_t size = UINT64_MAX;
	size_t n = 0;

	for (int i = MAY; i <= LARGE; i++)
		if (!memcmp(digest, items[i].digest, SSI_HASH_BYTES))
			n = sizes[i];
	if (n)
		size = htole64(n);
	ssi_buf_add(b, &size, sizeof(size));
	ssi_buf_add(b, bytes, n);
}

static void give(const uint8_t *data, size_t size, struct carry *c, int fd)
{
	struct ssi_buf want = SSI_BUF_INIT;

	mkdir(blobs, 0700);
	put(MAY);
	put(LARGE);
	put(SECRET);
	for (size_t at = 0; at + SSI_HASH_BYTES <= size; at += SSI_HASH_BYTES)
		answer(&want, data + at);
	carry_give(c, fd);
	if (line.said.len != want.len || (want.len && memcmp(line.said.data, want.data, want.len) != 0))
		abort();
	ssi_buf_free(&want);
}

/* --- the taker --- */

/* Is it here? Then it is whole. */
static bool is_here(int i)
{
	_cleanup_free_ char *path = path_of(&items[i]), *text = NULL;
	size_t n;

	if (ssi_file_read(path, sizeof(bytes) + 1, &text, &n) < 0)
		return false;
	if (n != sizes[i] || memcmp(text, bytes, n) != 0 || unlink(path) < 0)
		abort();
	return true;
}

static void take(const uint8_t *data, size_t size, struct carry *c, int fd)
{
	int r = carry_take(c, fd, NULL);
	bool may = is_here(MAY), large = is_here(LARGE), last = is_here(GONE);
	_cleanup_closedir_ DIR *d = opendir(blobs);
	struct dirent *de;
	uint64_t first = 0;

	memcpy(&first, data, size < sizeof(first) ? size : sizeof(first));
	if (r < 0 ? last : !(may && large && last))
		abort();
	/* Another size than was said is another blob. */
	if (may && le64toh(first) != sizes[MAY])
		abort();
	while (d && (de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 && strcmp(de->d_name, ".lock") != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct carry c = { .blobs = blobs, .key = "k", .items = items, .n = SECRET };
	_cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!size || size > 200000)
		return 0;
	if (!blobs[0])
		begin();
	line.data = data + 1;
	line.left = size - 1;
	line.turns = 0;
	if (data[0] % 2)
		give(data + 1, size - 1, &c, fd);
	else
		take(data + 1, size - 1, &c, fd);
	ssi_buf_free(&line.said);
	ssi_path_rmtree(blobs);
	return 0;
}
