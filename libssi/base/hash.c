/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests and random bytes. Called by the image store (names of generations, keys of cached steps), by what travels, and for tokens and keys. The digest is
 * Nettle's, as GnuTLS's is: a program that only digests need not load GnuTLS and all that it needs, which takes longer than to start a program. Randomness
 * is the kernel's own, which also works before any library is set up.
 */
#include <errno.h>
#include <fcntl.h>
#include <nettle/hmac.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/random.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/hash.h"

#define HASH_BYTES SSI_HASH_BYTES
#define HASH_CHUNK (256 * 1024)

struct ssi_hash {
	struct sha256_ctx sha;
};

struct ssi_hash *ssi_hash_new(void)
{
	struct ssi_hash *h = calloc(1, sizeof(*h));

	if (h)
		sha256_init(&h->sha);
	return h;
}

void ssi_hash_add(struct ssi_hash *h, const void *p, size_t n)
{
	sha256_update(&h->sha, n, p);
}

void ssi_hash_adds(struct ssi_hash *h, const char *s)
{
	ssi_hash_add(h, s, strlen(s) + 1);
}

void ssi_hash_end(struct ssi_hash *h, char ret[SSI_HASH_HEX])
{
	unsigned char bytes[HASH_BYTES];

	sha256_digest(&h->sha, sizeof(bytes), bytes);
	free(h);
	ssi_hash_hex(bytes, sizeof(bytes), ret);
}

int ssi_hash_mac(const void *key, size_t n, const char *text, uint8_t ret[SSI_HASH_BYTES])
{
	struct hmac_sha256_ctx mac;

	hmac_sha256_set_key(&mac, n, key);
	hmac_sha256_update(&mac, strlen(text), (const uint8_t *)text);
	hmac_sha256_digest(&mac, SSI_HASH_BYTES, ret);
	explicit_bzero(&mac, sizeof(mac));
	return 0;
}

int ssi_hash_file(const char *path, char ret[SSI_HASH_HEX])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *chunk = malloc(HASH_CHUNK);
	char unused[SSI_HASH_HEX];
	struct ssi_hash *h;
	ssize_t n;

	if (fd < 0)
		return -errno;
	h = chunk ? ssi_hash_new() : NULL;
	if (!h)
		return -ENOMEM;
	while ((n = ssi_fd_read_full(fd, chunk, HASH_CHUNK)) > 0)
		ssi_hash_add(h, chunk, n);
	ssi_hash_end(h, n < 0 ? unused : ret);
	return n < 0 ? (int)n : 0;
}

int ssi_hash_random(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t r = getrandom(at, n, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		at += r;
		n -= r;
	}
	return 0;
}

void ssi_hash_hex(const void *p, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++) {
		*ret++ = digits[b[i] >> 4];
		*ret++ = digits[b[i] & 15];
	}
	*ret = '\0';
}

static int hash_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int ssi_hash_unhex(const char *s, void *p, size_t n)
{
	unsigned char *b = p;

	if (strlen(s) != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < 2 * n; i++)
		if (hash_digit(s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		b[i] = hash_digit(s[2 * i]) << 4 | hash_digit(s[2 * i + 1]);
	return 0;
}
