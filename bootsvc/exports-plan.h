/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Exports, wanted against actual. Pure: lists in, steps out; tested without an NFS server. An entry is something mounted below the pseudo-root, and one
 * network that may mount it: a generation, by its name; a shared file system, by the name of its path (shared.h); "" is the pseudo-root itself.
 */
#include <stdbool.h>
#include <stddef.h>
#include "bootsvc/images.h"
#include "libssi/model/shared.h"

struct export_entry {
	char image[65], generation[IMAGES_GENERATION];
	char client[32];                     /* "10.77.0.0/24" */
	char source[SSI_SHARED_PATH];        /* of a shared file system: its path on this host; else "" */
	bool root;                           /* of a shared file system: a node's root is root there */
	int lock;                            /* wanted ones: shared lock on manifest.json, or -1 */
	bool ready;                          /* wanted ones: is exported */
};
struct export_list { struct export_entry *e; size_t n; };

enum export_do { EXPORT_ROOT_MOUNT, EXPORT_MOUNT, EXPORT_EXPORT, EXPORT_UNEXPORT, EXPORT_UNMOUNT };
struct export_step { enum export_do what; char image[65], generation[IMAGES_GENERATION], client[32], source[SSI_SHARED_PATH]; bool root; };
struct export_plan { struct export_step *steps; size_t n; };

/* What there is: mounts below the pseudo-root (client "", generation "" = its own tmpfs) and exports. */
struct export_view { struct export_list mounts, exports; };

/* Enter once; -ENOMEM. */
int export_list_add(struct export_list *l, const char *image, const char *generation, const char *client);
int export_list_add_shared(struct export_list *l, const struct ssi_shared *s, const char *client);
struct export_entry *export_list_find(const struct export_list *l, const char *generation, const char *client);   /* client NULL: any */
void export_list_free(struct export_list *l);
void export_view_free(struct export_view *v);

/* Steps in the order they are to be taken; none when wanted is what there is. -ENOMEM. wanted has an entry "" for each client too. */
int export_plan_make(const struct export_list *wanted, const struct export_view *actual, struct export_plan *ret);
void export_plan_free(struct export_plan *p);

/* Read /proc/mounts and /var/lib/nfs/etab texts; root: the pseudo-root's path. Lines about other paths are passed over. -ENOMEM. */
int export_view_mounts(struct export_view *v, const char *root, const char *text);
int export_view_etab(struct export_view *v, const char *root, const char *text);
