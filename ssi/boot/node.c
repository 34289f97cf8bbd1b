/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the booting machine's half of the boot dialogue. Called from children of PID 1, which end with what they allocate. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/hash.h"
#include "ssi/boot/boot.pb-c.h"
#include "ssi/boot/node.h"

#define NODE_REPLY_MAX 256       /* of a TOKEN_REPLY, as in doc/wire.md */

static void line_hangupp(struct ssi_ccm_line **l)
{
	ssi_ccm_hangup(*l);
}

static unsigned node_left(uint64_t deadline)
{
	uint64_t now = ssi_clock_mono_ms();

	return now < deadline ? (unsigned)(deadline - now) : 0;
}

static int node_dial_token(const struct ssi_bootargs *a, unsigned timeout_ms, struct ssi_ccm_line **ret, struct ssi_err *e)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_BOOT, .incarnation = a->incarnation };
	uint8_t key[SSI_CCM_KEY];

	snprintf(id.who, sizeof(id.who), "%s", a->mac);
	if (ssi_hash_unhex(a->token, key, sizeof(key)) < 0)
		return ssi_errf(e, -EINVAL, "ssi.token is not 64 hexadecimal digits");
	return ssi_ccm_dial(a->master, a->port, &id, SSI_CCM_BOOTING + a->number, key, timeout_ms, ret, e);
}

static int node_send(struct ssi_ccm_line *l, uint16_t type, const ProtobufCMessage *m, unsigned timeout_ms, struct ssi_err *e)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *p = malloc(n + 1);

	if (!p)
		return ssi_errf(e, -ENOMEM, "no memory for a message");
	protobuf_c_message_pack(m, p);
	return ssi_ccm_line_send(l, SSI_MOD_BOOT, type, 0, p, n, timeout_ms, e);
}

int ssi_boot_exchange_token(const struct ssi_bootargs *a, unsigned timeout_ms, struct ssi_boot_keys *ret, struct ssi_err *e)
{
	SSI_CLEANUP(line_hangupp) struct ssi_ccm_line *l = NULL;
	uint64_t deadline = ssi_clock_mono_ms() + timeout_ms;
	Ssi__Boot__Token token = SSI__BOOT__TOKEN__INIT;
	Ssi__Boot__TokenReply *reply;
	uint8_t buf[NODE_REPLY_MAX];
	size_t n;
	int r;

	r = node_dial_token(a, timeout_ms, &l, e);
	if (r < 0)
		return r;
	token.mac = (char *)a->mac;
	token.incarnation = a->incarnation;
	r = node_send(l, SSI_BOOT_TOKEN, &token.base, node_left(deadline), e);
	if (r >= 0)
		r = ssi_ccm_line_recv(l, SSI_MOD_BOOT, SSI_BOOT_TOKEN_REPLY, buf, sizeof(buf), &n, node_left(deadline), e);
	if (r < 0)
		return ssi_err_prefix(e, "token exchange"), r;
	reply = ssi__boot__token_reply__unpack(NULL, n, buf);
	if (reply && reply->key.len == sizeof(ret->key) && reply->identity.len == sizeof(ret->identity)) {
		memcpy(ret->key, reply->key.data, sizeof(ret->key));
		memcpy(ret->identity, reply->identity.data, sizeof(ret->identity));
	} else {
		r = ssi_errf(e, -EBADMSG, "token exchange: the master's answer holds no keys");
	}
	explicit_bzero(buf, sizeof(buf));
	if (reply)
		ssi__boot__token_reply__free_unpacked(reply, NULL);
	return r;
}

int ssi_boot_report_dial(const struct ssi_bootargs *a, const uint8_t key[SSI_CCM_KEY], unsigned timeout_ms, struct ssi_ccm_line **ret,
			 struct ssi_err *e)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .incarnation = a->incarnation };

	if (!key)
		return node_dial_token(a, timeout_ms, ret, e);
	snprintf(id.who, sizeof(id.who), "%s", a->node);
	return ssi_ccm_dial(a->master, a->port, &id, a->number, key, timeout_ms, ret, e);
}

int ssi_boot_report_stage(struct ssi_ccm_line *l, const char *name, uint64_t start_ms, uint64_t end_ms, uint32_t tries, unsigned timeout_ms,
			  struct ssi_err *e)
{
	Ssi__Boot__Stage m = SSI__BOOT__STAGE__INIT;

	m.name = (char *)name;
	m.start_ms = start_ms;
	m.end_ms = end_ms;
	m.tries = tries;
	return node_send(l, SSI_BOOT_STAGE, &m.base, timeout_ms, e);
}

int ssi_boot_report_failed(struct ssi_ccm_line *l, const char *stage, const char *text, const char *next, uint32_t delay_s, unsigned timeout_ms,
			   struct ssi_err *e)
{
	Ssi__Boot__BootFailed m = SSI__BOOT__BOOT_FAILED__INIT;

	m.stage = (char *)stage;
	m.text = (char *)text;
	m.next = (char *)next;
	m.delay_s = delay_s;
	return node_send(l, SSI_BOOT_FAILED, &m.base, timeout_ms, e);
}
