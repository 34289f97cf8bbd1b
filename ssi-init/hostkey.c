/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Derives the node's identity. Called by init-line when it has its keys; tested against ssh-keygen. Elliptic curves are GnuTLS's. */
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>
#include "libssi/base/base64.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/hash.h"
#include "ssi-init/hostkey.h"

#define KEY 32
#define TYPE "ssh-ed25519"
#define LINE 70
#define BLOCK 8                      /* what a secret part is filled up to, unencrypted */

int hostkey_machine_id(const uint8_t identity[HOSTKEY_IDENTITY], struct ssi_buf *ret)
{
	uint8_t id[SSI_HASH_BYTES];
	char text[2 * 16 + 1];
	int r = ssi_hash_mac(identity, HOSTKEY_IDENTITY, "ssi-machine-id", id);

	if (r < 0)
		return r;
	id[6] = (id[6] & 0x0f) | 0x40;
	id[8] = (id[8] & 0x3f) | 0x80;
	ssi_hash_hex(id, 16, text);
	ssi_buf_addf(ret, "%s\n", text);
	return ret->err;
}

/* RFC 8410: a PKCS #8 with nothing but the secret in it; GnuTLS finds the public point. */
static int public_of(const uint8_t secret[KEY], uint8_t ret[KEY])
{
	static const uint8_t head[] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
	uint8_t der[sizeof(head) + KEY];
	gnutls_datum_t d = { der, sizeof(der) }, x = { 0 }, y = { 0 }, k = { 0 };
	gnutls_x509_privkey_t key;
	gnutls_ecc_curve_t curve;
	int r = -EIO;

	memcpy(der, head, sizeof(head));
	memcpy(der + sizeof(head), secret, KEY);
	if (gnutls_x509_privkey_init(&key) < 0)
		return -ENOMEM;
	if (gnutls_x509_privkey_import2(key, &d, GNUTLS_X509_FMT_DER, NULL, 0) >= 0 &&
	    gnutls_x509_privkey_export_ecc_raw(key, &curve, &x, &y, &k) >= 0 && x.size == KEY) {
		memcpy(ret, x.data, KEY);
		r = 0;
	}
	gnutls_free(x.data);
	gnutls_free(y.data);
	gnutls_free(k.data);
	gnutls_x509_privkey_deinit(key);
	explicit_bzero(der, sizeof(der));
	return r;
}

static void add_u32(struct ssi_buf *b, uint32_t v)
{
	const uint8_t p[] = { v >> 24, v >> 16 & 255, v >> 8 & 255, v & 255 };

	ssi_buf_add(b, p, sizeof(p));
}

static void add_string(struct ssi_buf *b, const void *p, size_t n)
{
	add_u32(b, (uint32_t)n);
	ssi_buf_add(b, p, n);
}

static void add_public(struct ssi_buf *b, const uint8_t point[KEY])
{
	add_string(b, TYPE, strlen(TYPE));
	add_string(b, point, KEY);
}

/* The check number is any that stands there twice: of the point, so that the file is always the same. */
static void add_secret(struct ssi_buf *b, const uint8_t secret[KEY], const uint8_t point[KEY], const char *comment)
{
	ssi_buf_add(b, point, 4);
	ssi_buf_add(b, point, 4);
	add_public(b, point);
	add_u32(b, 2 * KEY);
	ssi_buf_add(b, secret, KEY);
	ssi_buf_add(b, point, KEY);
	add_string(b, comment, strlen(comment));
	for (uint8_t i = 1; b->len % BLOCK; i++)
		ssi_buf_add(b, &i, 1);
}

static int add_armoured(struct ssi_buf *to, const struct ssi_buf *what)
{
	_cleanup_free_ char *text = what->err ? NULL : ssi_base64_encode(what->data, what->len);
	size_t n = text ? strlen(text) : 0;

	if (!text)
		return -ENOMEM;
	ssi_buf_adds(to, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	for (size_t i = 0; i < n; i += LINE)
		ssi_buf_addf(to, "%.*s\n", LINE, text + i);
	ssi_buf_adds(to, "-----END OPENSSH PRIVATE KEY-----\n");
	explicit_bzero(text, n);
	return to->err;
}

static int write_secret(const uint8_t secret[KEY], const uint8_t point[KEY], const char *comment, struct ssi_buf *ret)
{
	_cleanup_buf_ struct ssi_buf all = SSI_BUF_INIT, pub = SSI_BUF_INIT, part = SSI_BUF_INIT;
	int r;

	add_public(&pub, point);
	add_secret(&part, secret, point, comment);
	if (pub.err || part.err)
		return -ENOMEM;
	ssi_buf_add(&all, "openssh-key-v1", sizeof("openssh-key-v1"));
	add_string(&all, "none", 4);         /* cipher, key derivation and its options */
	add_string(&all, "none", 4);
	add_string(&all, "", 0);
	add_u32(&all, 1);
	add_string(&all, pub.data, pub.len);
	add_string(&all, part.data, part.len);
	r = add_armoured(ret, &all);
	explicit_bzero(part.data, part.len);
	if (all.data)
		explicit_bzero(all.data, all.len);
	return r;
}

static int write_public(const uint8_t point[KEY], const char *comment, struct ssi_buf *ret)
{
	_cleanup_buf_ struct ssi_buf pub = SSI_BUF_INIT;
	_cleanup_free_ char *text = NULL;

	add_public(&pub, point);
	text = pub.err ? NULL : ssi_base64_encode(pub.data, pub.len);
	if (!text)
		return -ENOMEM;
	ssi_buf_addf(ret, TYPE " %s %s\n", text, comment);
	return ret->err;
}

int hostkey_ssh(const uint8_t identity[HOSTKEY_IDENTITY], const char *comment, struct ssi_buf *ret_secret, struct ssi_buf *ret_public, struct ssi_err *e)
{
	uint8_t secret[SSI_HASH_BYTES], point[KEY];
	int r = ssi_hash_mac(identity, HOSTKEY_IDENTITY, "ssi-ssh-host-ed25519", secret);

	if (r >= 0)
		r = public_of(secret, point);
	if (r >= 0)
		r = write_secret(secret, point, comment, ret_secret);
	if (r >= 0)
		r = write_public(point, comment, ret_public);
	explicit_bzero(secret, sizeof(secret));
	return r < 0 ? ssi_errno(e, r, "the node's ssh host key") : 0;
}
