/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * iSCSI targets (RFC 7143), wanted against actual. Pure: items in, steps out; tested without LIO. An item is a path below configfs' target/, what it is to be, and its
 * rank: what has a lower one must be there before. All of ours is told from others' by its name:
 *
 *     core/iblock_N/ssi-DIGEST                            an image, read-only, N above those that targetcli gives out; DIGEST: the generation's first 32 digits
 *     core/fileio_N/ssi-NODE:UUID                         a state volume, N of the node's number
 *     iscsi/iqn.2026-11.internal.ssi:SYSTEM/tpgt_1        a target for each system, its portals the master's addresses there
 *       lun/lun_M/ssi -> a disk                           one LUN for each generation, which all its nodes share, and for each state volume
 *       acls/iqn.2026-11.internal.ssi:SYSTEM:NODE:INCARNATION   one boot's door: the LUNs as that node sees them, and CHAP's name and secret
 *         lun_0/ssi -> the image's LUN, lun_1/ssi -> the state volume's
 *
 * M begins at a number of the generation's or the node's own and is the next free one; one that is there stays. Nobody without an ACL may log in, nobody without its secret, and
 * an ACL that is taken away ends its session. The secret is what comes last, so that who gets in sees all that it may see.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/map.h"
#include "libssi/model/iscsi.h"

enum target_kind { TARGET_DIR, TARGET_LINK, TARGET_IMAGE, TARGET_VOLUME, TARGET_SET };

struct target_item {
	enum target_kind kind;
	int rank;
	char *path;                      /* IMAGE, VOLUME: of the disk's file "enable" */
	char *value;                     /* LINK: the path it points to; IMAGE, VOLUME: the file behind it; SET: the text; DIR: NULL */
};
/* by_path: path -> index + 1. Zero-initialise. */
struct target_items { struct target_item *i; size_t n; struct ssi_map by_path; };

/* One boot of a node, and what it may reach. */
struct target_door {
	const char *system, *node;
	uint64_t incarnation;
	const char *secret;              /* ssi_iscsi_secret */
	const char *generation;          /* of its image, NULL: none over iSCSI */
	const char *volume;              /* of its state volume: the file, NULL: none, and its UUID, which is the disk's serial */
	const char *uuid;
	uint32_t number;                 /* the node's */
};

/* What is wanted, a call for each; 0, -ENOMEM, -EEXIST: something else has this place, or another -errno. actual: what there is, for the numbers that stay; never NULL. */
int targets_want_image(struct target_items *l, const struct target_items *actual, const char *system, const char *generation, const char *file);
int targets_want_system(struct target_items *l, const char *system, const struct in_addr *portals, size_t n);
int targets_want_door(struct target_items *l, const struct target_items *actual, const struct target_door *d);

/* What there is: patterns of glob(7) for all of ours, in the order of their rank; the last is NULL. */
extern const char *const targets_patterns[];
/* Is this path, found by a pattern, ours? (An iblock_N of somebody else fits as well.) */
bool targets_ours(const char *path);
/* Enter a path that was found; link: where it points to, as readlink(2) says, NULL: a folder. 0 or -ENOMEM. */
int targets_saw(struct target_items *l, const char *path, const char *link);
/* Is this path, of what was seen, the ACL of a boot of this node? */
bool targets_is_door(const char *path, const char *node);
/* Is this path, of what was seen, the disk of a node's state volume? Its name then. */
bool targets_is_volume(const char *path, char *ret_node, size_t n);
/* Where the LUN of this generation is among what was seen; NULL: nowhere. */
const char *targets_lun(const struct target_items *actual, const char *system, const char *generation);

struct target_step { bool remove; struct target_item item; };
struct target_steps { struct target_step *s; size_t n; };

/* Does the file at path (below target/) read as value? Of what can be written without being there afterwards, or be left half done. */
typedef bool (*targets_reads_fn)(const char *path, const char *value, void *userdata);
/* The steps in their order, none when what is wanted is there: what goes before what comes, so that a door is closed first. -ENOMEM. */
int targets_plan(const struct target_items *wanted, const struct target_items *actual, targets_reads_fn reads, void *userdata, struct target_steps *ret);

void targets_items_free(struct target_items *l);
void targets_steps_free(struct target_steps *p);
