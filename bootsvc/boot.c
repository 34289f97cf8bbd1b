/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answer to GET /boot/MAC. Entering the machine, binding it and arming its boot are one transaction: killed at any moment, either
 * the machine has its node and its number, or nothing happened and it asks again.
 *
 * Anyone on the network may ask in any machine's name, so asking alone ends nothing: a node that is joined stays so until the
 * token of its next boot is exchanged (members.c, members_armed).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/boot.h"
#include "bootsvc/bootscript.h"
#include "bootsvc/crash.h"
#include "bootsvc/discovery.h"
#include "bootsvc/dnsmasq.h"
#include "bootsvc/events.h"
#include "bootsvc/exports.h"
#include "bootsvc/fence.h"
#include "bootsvc/failover.h"
#include "bootsvc/images.h"
#include "bootsvc/members.h"
#include "bootsvc/shared.h"
#include "bootsvc/targets.h"
#include "bootsvc/volumes.h"
#include "libssi/base/clock.h"
#include "libssi/base/hash.h"
#include "libssi/model/iscsi.h"

struct answer {
	const struct ssi_node *node;     /* NULL: it has to wait */
	struct state_boot boot;
	uint64_t size;                   /* of its root's image, and that one's digest, where it is fetched into memory */
	char sha256[SSI_HASH_HEX];
	char text[512];                  /* why it has to wait */
	bool soon;                       /* for something that takes a moment */
};

/* Which node the machine plays, by its binding or by what the system does with a new one. */
static int place(struct daemon *d, const struct ssi_system *system, const char *mac, bool fresh, struct answer *a, struct ssi_err *e)
{
	char name[64];
	int r = state_node_of(d->state, mac, name, e);

	if (r < 0 && r != -ENOENT)
		return r;
	if (failover_admits(d->failover, mac, r == 0 ? name : "", a->text, sizeof(a->text)) < 0)
		return 0;
	if (r == -ENOENT)
		r = discovery_place(d, system, mac, fresh, name, a->text, sizeof(a->text), e);
	else
		r = 1;
	if (r <= 0)
		return r;
	a->node = ssi_registry_node(d->registry, name);
	if (a->node && a->node->system != system) {
		snprintf(a->text, sizeof(a->text), "machine %s is bound to %s of system %s, but asks in the network of system %s: move its cable, or"
			 " rebind it", mac, name, a->node->system->name, system->name);
		a->node = NULL;
	} else if (!a->node) {
		snprintf(a->text, sizeof(a->text), "machine %s is bound to %s, which is not in nodes.d any more", mac, name);
	}
	return 0;
}

/* A node that could not mount what it shares would only fail later. */
static int choose_shared(struct daemon *d, struct answer *a)
{
	struct ssi_err e;
	int r = exports_shared_ready(d->exports, a->node->system, &e);

	if (r < 0) {
		exports_reconcile(d->exports);
		r = exports_shared_ready(d->exports, a->node->system, &e);
	}
	if (r < 0)
		snprintf(a->text, sizeof(a->text), "%s cannot boot yet: %.300s", a->node->name, e.text);
	return r;
}

/* Is its image or its state volume a disk of the master's? */
static bool needs_login(const struct ssi_node *n)
{
	return strcmp(n->root, "iscsi") == 0 || n->state;
}

/* Which generation the node boots, whether it can be had, and what a node that fetches it has to check it against. */
static int choose(struct daemon *d, struct answer *a)
{
	const struct ssi_node *n = a->node;
	struct state_boot *b = &a->boot;
	char sha256[SSI_HASH_HEX];
	struct ssi_err e;
	uint64_t size;
	int r = images_current(d->images, n->image, b->generation, &e);

	if (r == 0 && strcmp(n->root, "ram") == 0)
		r = images_file(d->images, n->image, b->generation, "root.erofs", &a->size, a->sha256, &e);
	if (r == 0 && needs_login(n) && images_file(d->images, n->image, b->generation, "initramfs-iscsi", &size, sha256, NULL) < 0)
		r = ssi_errf(&e, -ENOENT, "image %s has no initramfs-iscsi: build it again with 'iscsi = yes' in the recipe's [initramfs]", n->image);
	if (r < 0) {
		snprintf(a->text, sizeof(a->text), "%s cannot boot: %.200s", n->name, e.text);
		return r;
	}
	if (!exports_ready(d->exports, b->generation, n->root, n->system))
		exports_reconcile(d->exports);
	if (strcmp(n->root, "iscsi") == 0 && !targets_ready(d->targets, b->generation, n->system)) {
		targets_reconcile(d->targets);
		snprintf(a->text, sizeof(a->text), "%s cannot boot yet: its image %s is no iSCSI target yet (see 'ssi-bootsvc events' on the master)", n->name, n->image);
		return -EAGAIN;
	}
	if (exports_ready(d->exports, b->generation, n->root, n->system))
		return choose_shared(d, a);
	snprintf(a->text, sizeof(a->text), strcmp(n->root, "nfs") == 0
		 ? "%s cannot boot yet: its image %s is not exported yet (see 'ssi-bootsvc events' on the master)"
		 : "%s cannot boot yet: its image %s cannot be held (is it being removed?)", n->name, n->image);
	return -EAGAIN;
}

/* The state volume that the boot has; the node waits for what has to be done to it. */
static int choose_state(struct daemon *d, struct answer *a)
{
	struct state_boot *b = &a->boot;
	struct ssi_err e;
	int r = volumes_prepare(d, a->node, b->generation, b->state, &e);

	a->soon = r == -EAGAIN && volumes_busy(d, a->node->name);
	if (r < 0)
		snprintf(a->text, sizeof(a->text), "%s cannot boot%s: %.400s", a->node->name, r == -EAGAIN ? " yet" : "", e.text);
	return r;
}

/* Store the incarnation and its token before anyone hears of them. */
static int arm(struct daemon *d, const char *mac, struct answer *a, struct ssi_err *e)
{
	const struct ssi_head_node *h = ssi_head_node(d->head, a->node->name);
	struct state_boot *b = &a->boot;
	char shared[STATE_SHARED];
	int r;

	if (h && h->hold == SSI_HOLD_OUT) {
		snprintf(a->text, sizeof(a->text), "%s is detached: 'ssi node accept %s' on the master lets it in again", a->node->name, a->node->name);
		a->node = NULL;
		return 0;
	}
	if (choose(d, a) < 0 || choose_state(d, a) < 0) {
		a->node = NULL;
		return 0;
	}
	strcpy(b->node, a->node->name);
	strcpy(b->mac, mac);
	strcpy(b->image, a->node->image);
	strcpy(b->root, a->node->root);
	b->armed = ssi_clock_wall_ms();
	r = ssi_hash_random(b->token, sizeof(b->token));
	if (r < 0)
		return ssi_errno(e, r, "no random bytes");
	r = state_boot_arm(d->state, b, e);
	if (r < 0 || !*a->node->system->shared)
		return r;
	shared_text(a->node->system->shared, shared);
	return state_boot_shared(d->state, b->node, b->incarnation, shared, e);
}

/* The digest of an image that is fetched goes with the other arguments, so that it is trusted as they are and whoever serves the image need not be. */
static void write_root(const struct daemon *d, const struct answer *a, struct ssi_bootargs *args)
{
	char master[INET_ADDRSTRLEN];

	if (strcmp(a->boot.root, "iscsi") == 0) {
		char serial[SSI_ISCSI_SERIAL];

		ssi_iscsi_serial(a->boot.generation, serial);
		snprintf(args->root, sizeof(args->root), "iscsi:%s", serial);
		return;
	}
	if (strcmp(a->boot.root, "ram") != 0) {
		snprintf(args->root, sizeof(args->root), "nfs:/%s", a->boot.generation);
		return;
	}
	snprintf(args->root, sizeof(args->root), "ram:http://%s:%u/image/%s/%s/root.erofs",
		 inet_ntop(AF_INET, &args->master, master, sizeof(master)), d->opt->http_port, a->boot.image, a->boot.generation);
	args->root_size = a->size;
	strcpy(args->root_sha256, a->sha256);
}

/* Where a node whose image or state volume is a disk of the master logs in. */
static void write_portals(const struct ssi_node *n, struct ssi_bootargs *args)
{
	const struct in_addr portals[] = { n->system->master, n->system->portal };
	char text[INET_ADDRSTRLEN];
	size_t len = 0;

	if (!needs_login(n))
		return;
	for (size_t i = 0; i < 2 && portals[i].s_addr; i++)
		len += (size_t)snprintf(args->iscsi + len, sizeof(args->iscsi) - len, "%s%s:%d", i ? "," : "",
					inet_ntop(AF_INET, &portals[i], text, sizeof(text)), SSI_ISCSI_PORT);
}

static int write_script(struct daemon *d, const struct answer *a, struct ssi_buf *ret, struct ssi_err *e)
{
	const struct ssi_node *n = a->node;
	struct ssi_bootargs args = {
		.number = n->number, .address = n->address, .prefix = n->system->prefix, .gateway = n->system->master, .master = n->system->master,
		.port = d->opt->ccm_port, .incarnation = a->boot.incarnation, .delay_s = 30,
	};
	struct bootscript script = {
		.master = n->system->master, .http_port = d->opt->http_port, .image = a->boot.image, .generation = a->boot.generation,
		.args = &args, .more = n->args,
	};
	int r;

	strcpy(args.node, n->name);
	strcpy(args.system, n->system->name);
	strcpy(args.mac, a->boot.mac);
	strcpy(args.init, n->init);
	(void)ssi_shared_paths(n->system->shared, args.shared, sizeof(args.shared));     /* checked with nodes.d */
	ssi_hash_hex(a->boot.token, sizeof(a->boot.token), args.token);
	write_root(d, a, &args);
	write_portals(n, &args);
	if (a->boot.state[0])
		snprintf(args.state, sizeof(args.state), "disk:UUID=%s", a->boot.state);
	r = bootscript_boot(&script, ret);
	explicit_bzero(args.token, sizeof(args.token));
	if (r == -ENOSPC)
		return ssi_errf(e, r, "the kernel arguments of %s are longer than a kernel takes: shorten 'args' in nodes.d", n->name);
	return r < 0 ? ssi_errno(e, r, "the boot script of %s", n->name) : 0;
}

static bool is_spare(struct daemon *d, const char *mac)
{
	struct state_machine m;

	return state_machine_get(d->state, mac, &m, NULL) == 0 && m.spare && !m.node[0];
}

static unsigned again_s(struct daemon *d, const char *mac)
{
	struct state_machine m;

	if (state_machine_get(d->state, mac, &m, NULL) < 0)
		return BOOTSCRIPT_AGAIN_S;
	return (m.node[0] ? failover_waits(d->failover, m.node) : m.spare) ? BOOTSCRIPT_SPARE_S : BOOTSCRIPT_AGAIN_S;
}

static int store(struct daemon *d, const struct ssi_system *system, const char *mac, struct in_addr peer, struct answer *a, struct ssi_err *e)
{
	/* A spare asks all the time: but for when it asked, nothing changes by that. */
	int r = state_begin(d->state, !is_spare(d, mac), e), fresh;
	struct ssi_err why;

	if (r < 0)
		return r;
	fresh = state_machine_seen(d->state, mac, system->name, peer, ssi_clock_wall_ms(), &why);
	if (fresh == -EUSERS) {          /* nothing is stored of it; it may ask again */
		state_rollback(d->state);
		snprintf(a->text, sizeof(a->text), "%s", why.text);
		return 0;
	}
	if (fresh < 0)
		ssi_errf(e, fresh, "%s", why.text);
	r = fresh < 0 ? fresh : place(d, system, mac, fresh, a, e);
	if (r >= 0 && a->node)
		r = arm(d, mac, a, e);
	if (r >= 0)
		r = state_machine_waits(d->state, mac, a->node ? 0 : ssi_clock_wall_ms(), e);
	if (r >= 0)
		r = state_commit(d->state, e);
	if (r < 0) {
		state_rollback(d->state);
		discovery_forget(d->discovery);
		dnsmasq_machine_changed(d->dnsmasq, mac);        /* a binding that is none took a node's address for it */
	}
	return r;
}

int boot_answer(struct daemon *d, const struct ssi_system *system, const char *mac, struct in_addr peer, struct ssi_buf *ret, struct ssi_err *e)
{
	struct answer a = { 0 };
	char name[64];
	bool bound = state_node_of(d->state, mac, name, NULL) == 0;
	int r = fence_asks(d, mac, peer, bound ? name : NULL, a.text, sizeof(a.text));

	r = r == -EAGAIN ? 0 : store(d, system, mac, peer, &a, e);
	if (r < 0)
		return r;
	if (a.node) {
		events_add(d->events, "arm", a.node->name, mac, a.boot.incarnation, "boot script given out, image %s %s", a.boot.image, a.boot.generation);
		crash_here(CRASH_FAILOVER_ARMED);
		members_armed(d, a.boot.node, a.boot.incarnation);
		r = write_script(d, &a, ret, e);
	} else {
		r = bootscript_wait(system->master, d->opt->http_port, a.text, a.soon ? BOOTSCRIPT_SPARE_S : again_s(d, mac), ret);
		if (r < 0)
			ssi_errno(e, r, "a script to wait");
	}
	explicit_bzero(&a.boot, sizeof(a.boot));
	return r;
}

void boot_fetches(struct daemon *d, struct in_addr peer, const char *file, char ret_node[64])
{
	const struct ssi_head_node *h;
	struct state_machine m;
	struct state_boot b;

	ret_node[0] = '\0';
	if (state_machine_at(d->state, peer, &m, NULL) < 0 || state_boot_newest(d->state, m.node, &b, NULL) < 0)
		return;
	h = ssi_head_node(d->head, m.node);
	if (b.used && (!h || h->state != SSI_NODE_BOOTING || h->incarnation != b.incarnation))
		return;
	strcpy(ret_node, m.node);
	events_add(d->events, "stage", m.node, m.mac, b.incarnation, "fetches %s", file);
}
