/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* SHA-256 (FIPS 180-4) and its HMAC by Nettle, as 64 lower-case hexadecimal digits; and random bytes. */
#include <stddef.h>
#include <stdint.h>

#define SSI_HASH_BYTES 32
#define SSI_HASH_HEX 65      /* with the NUL */

struct ssi_hash;                                              /* a running digest */
struct ssi_hash *ssi_hash_new(void);                          /* NULL: out of memory */
void ssi_hash_add(struct ssi_hash *h, const void *p, size_t n);
void ssi_hash_adds(struct ssi_hash *h, const char *s);        /* with its NUL, so that "ab","c" and "a","bc" differ */
void ssi_hash_end(struct ssi_hash *h, char ret[SSI_HASH_HEX]);/* frees h */
int ssi_hash_mac(const void *key, size_t n, const char *text, uint8_t ret[SSI_HASH_BYTES]);  /* HMAC (RFC 2104) of text; 0 or -errno */
int ssi_hash_file(const char *path, char ret[SSI_HASH_HEX]);  /* 0 or -errno */
int ssi_hash_random(void *p, size_t n);                       /* unpredictable bytes; 0 or -errno */
void ssi_hash_hex(const void *p, size_t n, char *ret);        /* 2n digits and a NUL */
int ssi_hash_unhex(const char *s, void *p, size_t n);         /* exactly 2n digits, or -EINVAL */
