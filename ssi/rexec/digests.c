/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the file of remembered digests. Called by pack (a user's own file) and unpack (the node's). Pure reads and writes of single slots, no locks. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi/rexec/digests.h"

#define DIGESTS_CHUNK (256u << 10)
#define DIGESTS_TRIES 8              /* slots in a row that one file may have */
#define DIGESTS_YOUNG_S 3            /* a file changed since is not remembered */

struct digest_key { uint64_t dev, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns; };
struct digest_slot {
	struct digest_key key;
	uint8_t digest[SSI_HASH_BYTES];
	uint64_t check;              /* of all before it */
};

struct ssi_digests { int fd; };

static uint64_t digest_fold(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = 0xcbf29ce484222325u;        /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

static struct digest_key digest_key(const struct stat *st)
{
	return (struct digest_key){ st->st_dev, st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec };
}

static int digests_folder(const char *path)
{
	_cleanup_free_ char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!slash || slash == folder)
		return folder ? 0 : -ENOMEM;
	*slash = '\0';
	return ssi_path_mkdirs(folder, 0700);
}

struct ssi_digests *ssi_digests_open(const char *path)
{
	struct ssi_digests *d;
	struct stat st;
	int fd = -1;

	if (!path)
		return NULL;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == ENOENT && digests_folder(path) >= 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return NULL;
	/* Another's file would say what that one likes. */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) || !(d = calloc(1, sizeof(*d)))) {
		close(fd);
		return NULL;
	}
	d->fd = fd;
	return d;
}

void ssi_digests_close(struct ssi_digests *d)
{
	if (!d)
		return;
	close(d->fd);
	free(d);
}

/* The tries of a file lie side by side, and are read at once. */
static off_t digests_at(const struct digest_key *k)
{
	return (off_t)(digest_fold(&k->dev, 2 * sizeof(uint64_t)) % (SSI_DIGESTS_SLOTS / DIGESTS_TRIES) * DIGESTS_TRIES * sizeof(struct digest_slot));
}

static bool digest_whole(const struct digest_slot *s)
{
	return s->check == digest_fold(s, offsetof(struct digest_slot, check));
}

static bool digests_find(const struct ssi_digests *d, const struct digest_key *k, uint8_t ret[SSI_HASH_BYTES])
{
	struct digest_slot slots[DIGESTS_TRIES];
	ssize_t n = pread(d->fd, slots, sizeof(slots), digests_at(k));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*slots); i++)
		if (memcmp(&slots[i].key, k, sizeof(*k)) == 0 && digest_whole(&slots[i])) {
			memcpy(ret, slots[i].digest, SSI_HASH_BYTES);
			return true;
		}
	return false;
}

/* In the slot of the same file, else in a free one, else in whose turn it is by its own number. */
static void digests_put(const struct ssi_digests *d, const struct digest_key *k, const uint8_t digest[SSI_HASH_BYTES])
{
	struct digest_slot slots[DIGESTS_TRIES] = { 0 }, s = { .key = *k };
	ssize_t n = pread(d->fd, slots, sizeof(slots), digests_at(k));
	size_t at = digest_fold(k, sizeof(*k)) % DIGESTS_TRIES;

	if (n < 0)
		return;
	for (size_t i = 0; i < DIGESTS_TRIES; i++)
		if (!digest_whole(&slots[i]))
			at = i;
	for (size_t i = 0; i < DIGESTS_TRIES; i++)
		if (slots[i].key.dev == k->dev && slots[i].key.ino == k->ino)
			at = i;
	memcpy(s.digest, digest, SSI_HASH_BYTES);
	s.check = digest_fold(&s, offsetof(struct digest_slot, check));
	if (pwrite(d->fd, &s, sizeof(s), digests_at(k) + (off_t)(at * sizeof(s))) != (ssize_t)sizeof(s))
		return;          /* a full disk: it is read through again next time */
}

static int digests_read(int fd, uint64_t size, uint8_t ret[SSI_HASH_BYTES])
{
	_cleanup_free_ char *chunk = malloc(DIGESTS_CHUNK);
	struct ssi_hash *h = chunk ? ssi_hash_new() : NULL;
	char hex[SSI_HASH_HEX];
	uint64_t at = 0;
	int r = 0;

	if (!h)
		return -ENOMEM;
	while (at < size && r == 0) {
		ssize_t n = pread(fd, chunk, DIGESTS_CHUNK, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			r = n < 0 ? -errno : -ESTALE;
		else
			ssi_hash_add(h, chunk, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	ssi_hash_end(h, hex);
	return r < 0 ? r : ssi_hash_unhex(hex, ret, SSI_HASH_BYTES);
}

int ssi_digests_of(struct ssi_digests *d, int fd, const struct stat *st, uint8_t ret[SSI_HASH_BYTES])
{
	struct digest_key k = digest_key(st);
	uint8_t digest[SSI_HASH_BYTES];
	struct stat now;
	int r;

	if (d && digests_find(d, &k, ret))
		return 0;
	r = digests_read(fd, k.size, digest);
	if (r < 0)
		return r;
	if (fstat(fd, &now) < 0)
		return -errno;
	/* Not the time of its inode: another name for it, or one less, is no change. */
	if (now.st_size != st->st_size || now.st_mtim.tv_sec != st->st_mtim.tv_sec || now.st_mtim.tv_nsec != st->st_mtim.tv_nsec)
		return -ESTALE;
	if (d && time(NULL) - st->st_ctim.tv_sec > DIGESTS_YOUNG_S)
		digests_put(d, &k, digest);
	memcpy(ret, digest, SSI_HASH_BYTES);
	return 0;
}
