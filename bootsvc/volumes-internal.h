/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the volumes-*.c files share:
 *     volumes.c            whose a volume is: prepare, and what it goes on with
 *     volumes-doors.c      who may write to it: take, release
 *     volumes-file.c       the files: their names, their superblocks, making and checking them
 *     volumes-snapshot.c   snapshot, restore, rm: what people order
 *     volumes-status.c     how it is
 *     volumes-freeze.c     a file system of a node that runs, standing still
 *     volumes-job.c        commands beside the loop
 *     volumes-plan.c       decisions
 * One work at a time is done on a node's volume; who finds one (volumes_work) waits or refuses.
 */
#include <sys/queue.h>
#include "bootsvc/state.h"
#include "bootsvc/volumes-job.h"
#include "bootsvc/volumes-plan.h"
#include "bootsvc/volumes.h"

struct volume_freeze;

struct volume_work;
typedef void (*volume_work_fn)(struct volume_work *w, int err, const struct ssi_err *why);
struct volume_work {
	struct volumes *volumes;
	char node[64];
	const char *doing;               /* "is being checked": behind "its state volume" */
	struct volume_job *job;
	struct volume_freeze *freeze;
	char *from, *to, *tmp;           /* a copy's: whole paths; tmp becomes to */
	struct state_snapshot snapshot;
	unsigned serial;                 /* of the file that becomes the volume */
	bool frozen;                     /* the copy was begun with the node's file system standing still */
	volume_work_fn next;             /* what its job's end leads to */
	size_t ran;                      /* the job's last command */
	volumes_done done;               /* of who ordered it; NULL: nobody */
	void *userdata;
	LIST_ENTRY(volume_work) link;
};

struct volumes {
	struct daemon *daemon;
	LIST_HEAD(, volume_work) works;
	sd_event_source *retry;          /* a door that could not be closed, a store that could not be written */
};

struct volume_work *volumes_work(struct volumes *v, const char *node);        /* NULL: none */
struct volume_work *volumes_work_new(struct volumes *v, const char *node, const char *doing);
void volumes_work_free(struct volume_work *w);
/* Run commands; next is called with their outcome, once, later, from the loop. */
int volumes_work_run(struct volume_work *w, const struct volume_command *c, size_t n, volume_work_fn next, struct ssi_err *e);

/* Go on with what a volume waits for: called when a work has ended, a door is closed, at a start. */
void volumes_proceed(struct volumes *v, const char *node, bool checked);
/* volumes-doors.c: make sure that no incarnation has it any more, and then go on (volumes_proceed). */
void volumes_take_away(struct volumes *v, const char *node);
/* Store it, safe against a power cut. */
int volumes_put(struct volumes *v, const struct state_volume *row, struct ssi_err *e);
void volumes_retry_soon(struct volumes *v);

/* volumes-file.c. Paths are the caller's; NULL: out of memory. */
char *volume_folder(struct volumes *v, const char *system, const char *node);
char *volume_path(struct volumes *v, const struct state_volume *row);
char *volume_snapshot_path(struct volumes *v, const struct state_snapshot *p);
void volume_file_name(unsigned serial, char ret[80]);
/* A number that no file of the folder has; -EEXIST: there is a volume that the store does not know. */
int volume_serial(struct volumes *v, const char *system, const char *node, unsigned *ret, struct ssi_err *e);
int volume_uuid_new(char ret[VOLUMES_UUID], struct ssi_err *e);
/* What its file says. -ENOENT and others with words. */
int volume_look(struct volumes *v, const struct state_volume *row, struct volume_super *ret, struct ssi_err *e);
/* Begin to make the file of a row that is not made yet, or to check one. Both end in volumes_proceed. */
int volume_make(struct volumes *v, const struct state_volume *row, struct ssi_err *e);
int volume_check(struct volumes *v, const struct state_volume *row, struct ssi_err *e);
int volume_publish(struct volume_work *w, struct ssi_err *e);         /* tmp becomes to, for good */
/* Remove what a dead daemon left half done. */
void volume_sweep(struct volumes *v, const char *system, const char *node);

/* volumes-snapshot.c: a snapshot of the volume as it is, named WHY-TIME, without its file and how it is made. */
void volumes_snapshot_of(const struct state_volume *row, struct state_snapshot *ret, const char *why);

/* volumes-freeze.c */
typedef void (*volume_freeze_fn)(struct volume_freeze *f, bool frozen, int err, const struct ssi_err *why, void *userdata);
/*
 * Have the node's state file system stand still, for at most limit_s seconds, after which the node itself lets it go, whatever became of us. fn is called with
 * frozen true once it stands still, and with frozen false at the end: err 0 when it stood still from then until volume_thaw; f is gone then.
 */
int volume_freeze(struct daemon *d, const char *node, unsigned limit_s, volume_freeze_fn fn, void *userdata, struct volume_freeze **ret, struct ssi_err *e);
void volume_thaw(struct volume_freeze *f);
void volume_freeze_end(struct volume_freeze *f);      /* thaw and forget it: fn is not called; NULL is fine */
