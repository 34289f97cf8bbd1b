/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Items, and their difference as steps. Called by targets.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/targets-plan.h"
#include "libssi/base/cleanup.h"

#define IQN "iqn.2026-11.internal.ssi:"
#define PROBES 64                        /* numbers that are looked at for one LUN */
#define HBA_FIRST 0x1000000u             /* targetcli counts from 0 */

/* Ranks. Every pattern of targets_patterns is of the rank it stands at; the others lie between. */
enum {
	R_FABRIC, R_HBA = 10, R_DISK = 20, R_SERVED, R_TARGET = 30, R_GROUP = 40, R_RULES, R_LUN = 50, R_LUN_LINK = 60, R_ACL = 70, R_ACL_LUN = 80,
	R_ACL_LINK = 90, R_ACL_RIGHT, R_ACL_USER, R_ACL_SECRET, R_PORTAL = 100, R_OPEN, R_PORTAL_MORE,
};

const char *const targets_patterns[] = {
	"iscsi", "core/iblock_*", "core/fileio_*", "core/iblock_*/ssi-*", "core/fileio_*/ssi-*", "iscsi/" IQN "*", "iscsi/" IQN "*/tpgt_1", "iscsi/" IQN "*/tpgt_1/lun/lun_*",
	"iscsi/" IQN "*/tpgt_1/lun/lun_*/ssi", "iscsi/" IQN "*/tpgt_1/acls/*", "iscsi/" IQN "*/tpgt_1/acls/*/lun_*",
	"iscsi/" IQN "*/tpgt_1/acls/*/lun_*/ssi", "iscsi/" IQN "*/tpgt_1/np/*", NULL,
};

static const char *const hbas[] = { "core/iblock_", "core/fileio_" };

bool targets_ours(const char *path)
{
	for (size_t i = 0; i < sizeof(hbas) / sizeof(*hbas); i++)
		if (strncmp(path, hbas[i], strlen(hbas[i])) == 0)
			return strtoul(path + strlen(hbas[i]), NULL, 10) >= HBA_FIRST;
	return true;
}

/* ---- numbers ---- */

/* The first digits of a generation's digest as a number, so that it is the same on every master and nothing is to be kept. */
static unsigned digits_of(const char *generation, int n)
{
	char digits[9];

	snprintf(digits, sizeof(digits), "%.*s", n, generation + strlen("sha256-"));
	return (unsigned)strtoul(digits, NULL, 16);
}

static unsigned hba_of(const char *generation)
{
	return HBA_FIRST + digits_of(generation, 6);
}

/* Where the search for a LUN's number begins: images in the lower half of those that targetcli knows (0 to 65535), state volumes in the upper. */
static unsigned lun_of_image(const char *generation)
{
	return digits_of(generation, 4) & 0x7fff;
}

static unsigned lun_of_volume(uint32_t number)
{
	return 0x8000 | (number & 0x7fff);
}

/* ---- items ---- */

static void item_clear(struct target_item *i)
{
	if (i->value)
		explicit_bzero(i->value, strlen(i->value));      /* it may be a secret */
	free(i->path);
	free(i->value);
	*i = (struct target_item){ 0 };
}

void targets_items_free(struct target_items *l)
{
	for (size_t i = 0; i < l->n; i++)
		item_clear(&l->i[i]);
	free(l->i);
	ssi_map_free(&l->by_path);
	*l = (struct target_items){ 0 };
}

void targets_steps_free(struct target_steps *p)
{
	for (size_t i = 0; i < p->n; i++)
		item_clear(&p->s[i].item);
	free(p->s);
	*p = (struct target_steps){ 0 };
}

static const struct target_item *items_find(const struct target_items *l, const char *path)
{
	size_t at = (size_t)(uintptr_t)ssi_map_get(&l->by_path, path);

	return at ? &l->i[at - 1] : NULL;
}

/* Takes path, also when it fails; enters each once. -EEXIST: it is wanted to be something else already. */
static int items_add(struct target_items *l, enum target_kind kind, int rank, char *path, const char *value)
{
	_cleanup_free_ char *own = path;
	struct target_item item = { .kind = kind, .rank = rank }, *grown;
	const struct target_item *there = own ? items_find(l, own) : NULL;

	if (!own)
		return -ENOMEM;
	if (there)
		return there->kind == kind && (!value || strcmp(there->value, value) == 0) ? 0 : -EEXIST;
	grown = reallocarray(l->i, l->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->i = grown;
	item.value = value ? strdup(value) : NULL;
	if (value && !item.value)
		return -ENOMEM;
	item.path = TAKE_PTR(own);
	l->i[l->n++] = item;
	return ssi_map_put(&l->by_path, item.path, (void *)(uintptr_t)l->n);
}

__attribute__((format(printf, 1, 2)))
static char *path_of(const char *fmt, ...)
{
	char *path = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&path, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : path;
}

static int want_disk(struct target_items *l, const char *hba, const char *disk, enum target_kind kind, const char *file)
{
	int r = items_add(l, TARGET_DIR, R_FABRIC, strdup("iscsi"), NULL);

	if (r == 0)
		r = items_add(l, TARGET_DIR, R_HBA, strdup(hba), NULL);
	if (r == 0)
		r = items_add(l, TARGET_DIR, R_DISK, strdup(disk), NULL);
	return r < 0 ? r : items_add(l, kind, R_SERVED, path_of("%s/enable", disk), file);
}

/* The link of LUN number n of this target, in l. */
static const struct target_item *lun_link(const struct target_items *l, const char *iqn, unsigned n)
{
	_cleanup_free_ char *path = path_of("iscsi/%s/tpgt_1/lun/lun_%u/ssi", iqn, n);
	const struct target_item *i = path ? items_find(l, path) : NULL;

	return i && i->kind == TARGET_LINK ? i : NULL;
}

static bool leads_to(const struct target_item *link, const char *disk)
{
	return link && link->value && strcmp(link->value, disk) == 0;
}

/* The number that this disk has, else the first that nothing has or is to have. */
static int lun_number(const struct target_items *l, const struct target_items *actual, const char *iqn, const char *disk, unsigned first)
{
	int free_one = -ENOSPC;

	for (unsigned i = 0; i < PROBES; i++) {
		unsigned n = (first & 0x8000) | ((first + i) & 0x7fff);
		const struct target_item *wanted = lun_link(l, iqn, n), *there = lun_link(actual, iqn, n);

		if (leads_to(wanted, disk) || (!wanted && leads_to(there, disk)))
			return (int)n;
		if (!wanted && !there && free_one < 0)
			free_one = (int)n;
	}
	return free_one;
}

static int want_lun(struct target_items *l, const struct target_items *actual, const char *iqn, const char *disk, unsigned first, char **ret)
{
	int n = lun_number(l, actual, iqn, disk, first), r;
	_cleanup_free_ char *lun = n < 0 ? NULL : path_of("iscsi/%s/tpgt_1/lun/lun_%d", iqn, n);

	if (n < 0)
		return n;
	if (!lun)
		return -ENOMEM;
	r = items_add(l, TARGET_DIR, R_LUN, strdup(lun), NULL);
	if (r == 0)
		r = items_add(l, TARGET_LINK, R_LUN_LINK, path_of("%s/ssi", lun), disk);
	if (r == 0 && ret)
		*ret = TAKE_PTR(lun);
	return r;
}

static char *image_disk(const char *generation)
{
	char serial[SSI_ISCSI_SERIAL];

	ssi_iscsi_serial(generation, serial);
	return path_of("core/iblock_%u/ssi-%s", hba_of(generation), serial);
}

int targets_want_image(struct target_items *l, const struct target_items *actual, const char *system, const char *generation, const char *file)
{
	_cleanup_free_ char *hba = path_of("core/iblock_%u", hba_of(generation)), *disk = image_disk(generation);
	char iqn[SSI_ISCSI_NAME];
	int r = hba && disk ? ssi_iscsi_target(system, iqn) : -ENOMEM;

	if (r == 0)
		r = want_disk(l, hba, disk, TARGET_IMAGE, file);
	return r < 0 ? r : want_lun(l, actual, iqn, disk, lun_of_image(generation), NULL);
}

int targets_want_system(struct target_items *l, const char *system, const struct in_addr *portals, size_t n)
{
	/* Who has no ACL finds nothing and gets in nowhere; what has one, reads, and writes where its ACL says so. */
	static const struct { const char *name, *value; } rules[] = {
		{ "authentication", "1" }, { "generate_node_acls", "0" }, { "demo_mode_discovery", "0" }, { "prod_mode_write_protect", "1" },
	};
	char iqn[SSI_ISCSI_NAME], address[INET_ADDRSTRLEN];
	int r = ssi_iscsi_target(system, iqn);

	if (r == 0)
		r = items_add(l, TARGET_DIR, R_FABRIC, strdup("iscsi"), NULL);
	if (r == 0)
		r = items_add(l, TARGET_DIR, R_TARGET, path_of("iscsi/%s", iqn), NULL);
	if (r == 0)
		r = items_add(l, TARGET_DIR, R_GROUP, path_of("iscsi/%s/tpgt_1", iqn), NULL);
	for (size_t i = 0; r == 0 && i < sizeof(rules) / sizeof(*rules); i++)
		r = items_add(l, TARGET_SET, R_RULES, path_of("iscsi/%s/tpgt_1/attrib/%s", iqn, rules[i].name), rules[i].value);
	/* An address that the master does not have now must not keep the others closed. */
	for (size_t i = 0; r == 0 && i < n; i++) {
		inet_ntop(AF_INET, &portals[i], address, sizeof(address));
		r = items_add(l, TARGET_DIR, i ? R_PORTAL_MORE : R_PORTAL, path_of("iscsi/%s/tpgt_1/np/%s:%d", iqn, address, SSI_ISCSI_PORT), NULL);
	}
	return r < 0 ? r : items_add(l, TARGET_SET, R_OPEN, path_of("iscsi/%s/tpgt_1/enable", iqn), "1");
}

/* What the node sees as LUN number n. */
static int want_mapped(struct target_items *l, const char *acl, unsigned n, const char *lun, const char *write_protect)
{
	int r = items_add(l, TARGET_DIR, R_ACL_LUN, path_of("%s/lun_%u", acl, n), NULL);

	if (r == 0)
		r = items_add(l, TARGET_LINK, R_ACL_LINK, path_of("%s/lun_%u/ssi", acl, n), lun);
	return r < 0 ? r : items_add(l, TARGET_SET, R_ACL_RIGHT, path_of("%s/lun_%u/write_protect", acl, n), write_protect);
}

static int door_image(struct target_items *l, const struct target_items *actual, const struct target_door *d, const char *iqn, const char *acl)
{
	_cleanup_free_ char *disk = image_disk(d->generation), *lun = NULL;
	int r = disk ? want_lun(l, actual, iqn, disk, lun_of_image(d->generation), &lun) : -ENOMEM;

	return r < 0 ? r : want_mapped(l, acl, SSI_ISCSI_LUN_IMAGE, lun, "1");
}

static int door_volume(struct target_items *l, const struct target_items *actual, const struct target_door *d, const char *iqn, const char *acl)
{
	_cleanup_free_ char *hba = path_of("core/fileio_%u", HBA_FIRST + d->number), *lun = NULL;
	_cleanup_free_ char *disk = hba ? path_of("%s/ssi-%s:%s", hba, d->node, d->uuid) : NULL;
	int r = disk ? want_disk(l, hba, disk, TARGET_VOLUME, d->volume) : -ENOMEM;

	if (r == 0)
		r = want_lun(l, actual, iqn, disk, lun_of_volume(d->number), &lun);
	return r < 0 ? r : want_mapped(l, acl, SSI_ISCSI_LUN_STATE, lun, "0");
}

int targets_want_door(struct target_items *l, const struct target_items *actual, const struct target_door *d)
{
	_cleanup_free_ char *acl = NULL;
	char iqn[SSI_ISCSI_NAME], who[SSI_ISCSI_NAME];
	int r = ssi_iscsi_target(d->system, iqn);

	if (r == 0)
		r = ssi_iscsi_initiator(d->system, d->node, d->incarnation, who);
	if (r < 0)
		return r;
	acl = path_of("iscsi/%s/tpgt_1/acls/%s", iqn, who);
	r = acl ? items_add(l, TARGET_DIR, R_ACL, strdup(acl), NULL) : -ENOMEM;
	if (r == 0 && d->generation)
		r = door_image(l, actual, d, iqn, acl);
	if (r == 0 && d->volume)
		r = door_volume(l, actual, d, iqn, acl);
	if (r == 0)
		r = items_add(l, TARGET_SET, R_ACL_USER, path_of("%s/auth/userid", acl), d->node);
	return r < 0 ? r : items_add(l, TARGET_SET, R_ACL_SECRET, path_of("%s/auth/password", acl), d->secret);
}

/* ---- what was seen ---- */

bool targets_is_door(const char *path, const char *node)
{
	const char *who = strstr(path, "/tpgt_1/acls/"), *at = NULL;
	char name[SSI_ISCSI_NAME], *middle = name + strlen(IQN);

	/* ":NODE:", as it is written in a name; what is before it is the end of a system's, which is no colon. */
	if (!who || ssi_iscsi_initiator("", node, 0, name) < 0)
		return false;
	middle[strlen(middle) - 1] = '\0';
	for (const char *p = who; (p = strstr(p, middle)); p++)
		at = p[-1] == ':' ? at : p + strlen(middle);
	return at && *at && strspn(at, "0123456789") == strlen(at);
}

bool targets_is_volume(const char *path, char *ret_node, size_t n)
{
	const char *name = strncmp(path, "core/fileio_", strlen("core/fileio_")) ? NULL : strstr(path, "/ssi-"), *end;

	name = name ? name + strlen("/ssi-") : NULL;
	end = name ? strrchr(name, ':') : NULL;
	if (!end || (size_t)(end - name) >= n || strchr(name, '/'))
		return false;
	memcpy(ret_node, name, (size_t)(end - name));
	ret_node[end - name] = '\0';
	return true;
}

const char *targets_lun(const struct target_items *actual, const char *system, const char *generation)
{
	_cleanup_free_ char *disk = image_disk(generation);
	const struct target_item *link = NULL;
	char iqn[SSI_ISCSI_NAME];
	int n;

	if (!disk || ssi_iscsi_target(system, iqn) < 0)
		return NULL;
	n = lun_number(&(struct target_items){ 0 }, actual, iqn, disk, lun_of_image(generation));
	link = n < 0 ? NULL : lun_link(actual, iqn, (unsigned)n);
	return link ? link->path : NULL;
}

int targets_saw(struct target_items *l, const char *path, const char *link)
{
	/* "../../../../../../target/core/iblock_7/x" */
	const char *to = link ? strstr(link, "/target/") : NULL;

	return items_add(l, link ? TARGET_LINK : TARGET_DIR, 0, strdup(path), link ? to ? to + strlen("/target/") : link : NULL);
}

/* ---- steps ---- */

static int step_add(struct target_steps *p, bool remove, const struct target_item *i)
{
	struct target_step *grown = reallocarray(p->s, p->n + 1, sizeof(*grown));
	struct target_item copy = { i->kind, i->rank, NULL, NULL };

	if (!grown)
		return -ENOMEM;
	p->s = grown;
	copy.path = strdup(i->path);
	copy.value = i->value ? strdup(i->value) : NULL;
	if (!copy.path || (i->value && !copy.value)) {
		item_clear(&copy);
		return -ENOMEM;
	}
	p->s[p->n++] = (struct target_step){ remove, copy };
	return 0;
}

static bool is_there(const struct target_item *w, const struct target_items *actual, targets_reads_fn reads, void *userdata)
{
	const struct target_item *a;

	switch (w->kind) {
	case TARGET_DIR:
	case TARGET_LINK:
		a = items_find(actual, w->path);
		return a && a->kind == w->kind && (!w->value || (a->value && strcmp(a->value, w->value) == 0));
	case TARGET_IMAGE:
	case TARGET_VOLUME:
		return reads(w->path, "1", userdata);
	case TARGET_SET:
		return reads(w->path, w->value, userdata);
	}
	return false;
}

/* A link that points elsewhere goes as well; the fabric's own folder stays: others' targets may lie in it. */
static bool goes(const struct target_item *a, const struct target_items *wanted)
{
	const struct target_item *w = items_find(wanted, a->path);

	return strcmp(a->path, "iscsi") != 0 && (!w || w->kind != a->kind || (a->value && strcmp(a->value, w->value) != 0));
}

static int by_rank(const void *a, const void *b)
{
	const struct target_item *const *x = a, *const *y = b;

	if ((*x)->rank != (*y)->rank)
		return (*x)->rank < (*y)->rank ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

int targets_plan(const struct target_items *wanted, const struct target_items *actual, targets_reads_fn reads, void *userdata, struct target_steps *ret)
{
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };
	_cleanup_free_ const struct target_item **sorted = calloc(wanted->n + 1, sizeof(*sorted));
	int r = sorted ? 0 : -ENOMEM;

	/* What was seen stands in the order of the patterns: what it lies in, or points to, before it. */
	for (size_t i = actual->n; r == 0 && i-- > 0;)
		if (goes(&actual->i[i], wanted))
			r = step_add(&p, true, &actual->i[i]);
	for (size_t i = 0; sorted && i < wanted->n; i++)
		sorted[i] = &wanted->i[i];
	if (sorted && wanted->n)
		qsort(sorted, wanted->n, sizeof(*sorted), by_rank);
	for (size_t i = 0; r == 0 && i < wanted->n; i++)
		if (!is_there(sorted[i], actual, reads, userdata))
			r = step_add(&p, false, sorted[i]);
	if (r < 0)
		return r;
	*ret = p;
	p = (struct target_steps){ 0 };
	return 0;
}
