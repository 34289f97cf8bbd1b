/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * init-line: a helper of ssi-init, the only program of the boot that talks TLS. PID 1 runs it, with a deadline, as
 *
 *     init-line token                       trade the boot's token for the node's keys: into /run/ssi/node.key (and what is derived from it), and
 *                                           what the node is known by into /run/ssi/identity
 *     init-line failed STAGE TEXT NEXT      tell the master that this boot ends here
 *
 * A program of its own, so that GnuTLS is neither in PID 1's memory nor in the way of its first instruction.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/model/iscsi.h"
#include "ssi/boot/node.h"
#include "ssi-init/boot.h"
#include "ssi-init/hostkey.h"
#include "ssi-init/identity.h"
#include "ssi-init/outcome.h"

#define TOKEN_MS 8000
#define REPORT_MS 4000
#define KEY_HEX (2 * SSI_CCM_KEY + 1)

/* For the login, which has no use for GnuTLS then: loading it takes longer than all that the login does. */
static int line_write_secret(const uint8_t key[SSI_CCM_KEY], struct ssi_err *e)
{
	char text[SSI_ISCSI_SECRET];
	int r = ssi_iscsi_secret(key, text);

	if (r == 0) {
		text[SSI_ISCSI_SECRET - 1] = '\n';
		r = ssi_file_write_atomic(BOOT_SECRET, text, sizeof(text), 0600);
	}
	explicit_bzero(text, sizeof(text));
	return r < 0 ? ssi_errno(e, r, "%s", BOOT_SECRET) : 0;
}

static int line_write(const char *name, const struct ssi_buf *text, mode_t mode, struct ssi_err *e)
{
	char path[128];
	int r = text->err;

	snprintf(path, sizeof(path), "%s/%s", BOOT_IDENTITY, name);
	if (r == 0)
		r = ssi_file_write_atomic(path, text->data, text->len, mode);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

/* The identity itself is not kept: only what is made of it. */
static int line_identity(const struct boot *b, const uint8_t identity[HOSTKEY_IDENTITY], struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf id = SSI_BUF_INIT, secret = SSI_BUF_INIT, public = SSI_BUF_INIT;
	int r = ssi_path_mkdirs(BOOT_IDENTITY, 0700);

	if (r < 0)
		return ssi_errno(e, r, "%s", BOOT_IDENTITY);
	r = hostkey_machine_id(identity, &id);
	if (r < 0)
		return ssi_errno(e, r, "machine-id");
	r = hostkey_ssh(identity, b->args.node, &secret, &public, e);
	if (r == 0)
		r = line_write(IDENTITY_MACHINE_ID, &id, 0444, e);
	if (r == 0)
		r = line_write(IDENTITY_SSH, &secret, 0600, e);
	if (r == 0)
		r = line_write(IDENTITY_SSH ".pub", &public, 0644, e);
	if (secret.data)
		explicit_bzero(secret.data, secret.len);
	return r;
}

static int line_token(const struct boot *b, char **argv, struct ssi_err *e)
{
	struct ssi_boot_keys keys;
	char text[KEY_HEX + 1];
	int r;

	outcome_note("asking the master for the node's key");
	r = ssi_boot_exchange_token(&b->args, TOKEN_MS, &keys, e);
	if (r < 0)
		return r;
	ssi_hash_hex(keys.key, sizeof(keys.key), text);
	text[KEY_HEX - 1] = '\n';
	r = ssi_file_write_atomic(BOOT_KEY, text, KEY_HEX, 0600);
	if (r < 0)
		ssi_errno(e, r, "%s", BOOT_KEY);
	if (r >= 0 && b->args.iscsi[0])
		r = line_write_secret(keys.key, e);
	if (r >= 0)
		r = line_identity(b, keys.identity, e);
	explicit_bzero(&keys, sizeof(keys));
	explicit_bzero(text, sizeof(text));
	return r < 0 ? r : 0;
}

/* The node's key, if this boot got that far. */
static bool line_read_key(uint8_t ret[SSI_CCM_KEY])
{
	char text[KEY_HEX];

	return ssi_file_read_line(BOOT_KEY, text, sizeof(text)) == 0 && ssi_hash_unhex(text, ret, SSI_CCM_KEY) == 0;
}

static int line_failed(const struct boot *b, char **argv, struct ssi_err *e)
{
	struct ssi_ccm_line *l = NULL;
	uint8_t key[SSI_CCM_KEY];
	bool have = line_read_key(key);
	int r = ssi_boot_report_dial(&b->args, have ? key : NULL, REPORT_MS, &l, e);

	if (r == 0)
		r = ssi_boot_report_failed(l, argv[0], argv[1], argv[2], b->args.delay_s, REPORT_MS, e);
	if (r < 0)
		log_warning("the master could not be told: %s", e->text);
	ssi_ccm_hangup(l);
	return r;
}

static const struct { const char *name; int args; int (*run)(const struct boot *b, char **argv, struct ssi_err *e); } jobs[] = {
	{ "token", 0, line_token }, { "failed", 3, line_failed },
};

int main(int argc, char **argv)
{
	struct ssi_err e = { 0 };
	struct boot b = { 0 };
	int r;

	ssi_log_open("ssi-init", LOG_INFO);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]) && argc >= 2; i++) {
		if (strcmp(argv[1], jobs[i].name) != 0 || argc != 2 + jobs[i].args)
			continue;
		r = boot_read_args(&b, &e);
		if (b.args.debug)
			ssi_log_open("ssi-init", LOG_DEBUG);
		log_debug("%llu ms: %s", (unsigned long long)ssi_clock_boot_ms(), argv[1]);
		if (r == 0)
			r = jobs[i].run(&b, argv + 2, &e);
		outcome_put(&e);
		return r < 0;
	}
	fprintf(stderr, "init-line: a helper of ssi-init(8): init-line token | failed STAGE TEXT NEXT\n");
	return 2;
}
