/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that the master decodes from booting machines and nodes: messages to a session, through the rule table, into the handlers (what is
 * before it, from bytes to frames, is fuzz-station's). The first byte says who speaks; then come messages: module, type, two bytes of length, body.
 */
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/ccm-internal.h"
#include "ssi/boot/master.h"
#include "ssi/membership/head.h"
#include "ssi/rexec/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAC "52:54:00:00:00:01"

/* Texts that leave the decoders are printable, always. */
static void printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			abort();
}

static int on_token(struct ssi_ccm_conn *c, const char *mac, uint64_t incarnation, struct ssi_boot_keys *ret, struct ssi_err *e, void *userdata)
{
	memset(ret, 7, sizeof(*ret));
	return strcmp(mac, MAC) || incarnation != 7 ? (abort(), 0) : 0;
}

static void on_stage(struct ssi_ccm_conn *c, const struct ssi_boot_stage *s, void *userdata)
{
	printable(s->name);
}

static void on_failed(struct ssi_ccm_conn *c, const char *stage, const char *text, const char *next, uint32_t delay_s, void *userdata)
{
	printable(stage);
	printable(text);
	printable(next);
}

static void on_event(struct ssi_ccm_conn *c, const char *kind, const char *text, void *userdata)
{
	printable(kind);
	printable(text);
}

static void on_changed(const struct ssi_head_node *n, enum ssi_nodestate before, enum ssi_nodeevent ev, const struct ssi_head_join *join, void *userdata)
{
	_cleanup_buf_ struct ssi_buf changes = SSI_BUF_INIT;

	printable(n->reason);
	printable(n->inventory.cpu_model);
	printable(n->inventory.kernel);
	for (size_t i = 0; i < n->inventory.n_nics; i++)
		printable(n->inventory.nics[i].name);
	for (size_t i = 0; i < n->inventory.n_accelerators; i++)
		printable(n->inventory.accelerators[i].address);
	if (join && ssi_inventory_diff(join->was, &n->inventory, &changes) > 0)
		printable(changes.data);
	for (size_t i = 0; join && i < join->n_stages; i++)
		printable(join->stages[i].name);
}

static void on_refused(struct ssi_ccm_conn *c, const char *text, void *userdata)
{
	printable(text);
}

static void on_output(struct ssi_rexec_call *call, int fd, const void *p, size_t n, void *userdata)
{
	if (n % 2)
		ssi_rexec_consumed(call, n);
}

static void on_exited(struct ssi_rexec_call *call, const struct ssi_rexec_exit *x, void *userdata)
{
	printable(x->error);
}

static const struct ssi_ccm_ops ccm_ops = { 0 };
static const struct ssi_boot_ops boot_ops = { on_token, on_stage, on_failed, on_event };
static const struct ssi_head_ops head_ops = { .changed = on_changed, .refused = on_refused };
static const struct ssi_rexec_ops rexec_ops = { .output = on_output, .exited = on_exited };

static void speak(struct ssi_ccm_conn *c, const uint8_t *p, size_t n)
{
	while (n >= 4 && c->state == CONN_OPEN) {
		struct ssi_ccm_head f = { .module = p[0], .type = p[1], .sequence = 1, .size = (uint32_t)p[2] << 8 | p[3] };
		struct ssi_err e;

		p += 4;
		n -= 4;
		if (f.size > n)
			f.size = (uint32_t)n;
		if (ccm_conn_hear(c, &f, p, &e) < 0)
			return;
		p += f.size;
		n -= f.size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssi_boot_master boot = { &boot_ops, NULL };
	struct ssi_identity id = { .incarnation = 7 };
	char *const argv[] = { (char *)"true", NULL };
	struct ssi_rexec_call *call;
	struct ssi_rexec *rexec;
	struct ssi_head *head;
	struct ssi_ccm_conn *c;
	struct ssi_ccm *ccm;
	sd_event *event;

	if (!size || size > 65536)
		return 0;
	id.kind = data[0] & 1 ? SSI_IDENTITY_NODE : SSI_IDENTITY_BOOT;
	strcpy(id.who, data[0] & 1 ? "n01" : MAC);
	if (sd_event_new(&event) < 0 || ssi_ccm_new(event, &ccm_ops, NULL, &ccm) < 0 || ssi_boot_master(ccm, &boot) < 0 ||
	    ssi_head_new(event, ccm, &head_ops, NULL, &head) < 0 || ssi_rexec_new(ccm, &rexec) < 0 || ccm_conn_loose(ccm, &id, &c) < 0)
		abort();
	ssi_head_set_system(head, "demo", 500, 3000, 1);
	ssi_head_set_node(head, "n01", "demo", 1, (struct in_addr){ 0 }, NULL);
	ssi_head_boot(head, "n01", 7);
	if (ssi_rexec_start(rexec, c, argv, NULL, NULL, 0, &rexec_ops, NULL, &call, NULL) < 0)
		abort();
	speak(c, data + 1, size - 1);
	ssi_rexec_free(rexec);
	ssi_head_free(head);
	ssi_ccm_free(ccm);
	sd_event_unref(event);
	return 0;
}
