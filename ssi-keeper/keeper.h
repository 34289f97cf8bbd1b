/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the files of ssi-keeper know of each other. A keeper is the process on a node that keeps one job (doc/jobs.md): its program, its streams, and in
 * the end its record. It works in the agent's folder (/run/ssi), where the job has jobs/NUMBER:
 *
 *     socket   where the agent attaches (libssi/comm/jobframe.h)
 *     held     a packed Held: what the agent tells the master of it
 *     exit     a packed Exit, once there is one
 *     cgroup   the path of its cgroup, for who has to clear up after a keeper that was killed
 *     program/ what is executed (ssi/rexec/unpack.h)
 *     work/    where a tmpfs of its own is mounted, in the job's mount namespace alone: the program's working directory
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "libssi/base/err.h"
#include "libssi/comm/jobframe.h"
#include "libssi/model/wire.h"
#include "ssi-keeper/streams.h"
#include "ssi/rexec/blobs.h"
#include "ssi/rexec/job.pb-c.h"

#define KEEPER_LEASE_MS (15u * 60 * 1000)
#define KEEPER_RECORD_MS (24u * 60 * 60 * 1000)

enum keeper_phase {
	KEEPER_SPARE,        /* no job yet */
	KEEPER_LOADING,      /* blobs are missing */
	KEEPER_FILES,        /* input files are being unpacked */
	KEEPER_RUNNING,      /* the program */
	KEEPER_RESULT,       /* the folder of results is being packed */
	KEEPER_DRAINING,     /* nothing runs any more; what was written is read to its end */
	KEEPER_ENDED,        /* the record waits to be acknowledged */
	KEEPER_DONE,         /* nobody needs us any more */
};

/* What is to be executed, as load.c has found it. */
struct ssi_layer;
struct keeper_program { char *path; char **argv, **env; const struct ssi_layer *layers; size_t n_layers; };      /* layers: ssi/rexec/unpack.h */

struct keeper {
	enum keeper_phase phase;
	char run_dir[PATH_MAX];          /* absolute: as the program sees it */
	uint64_t job;
	char dir[64];                    /* "jobs/NUMBER"; "spare/PID" before there is one */
	Ssi__Job__Spec *spec;
	struct keeper_program program;
	struct keeper_load *load;        /* load.c */
	struct ssi_blobs *blobs;
	int signals, listener;
	struct ssi_err unfit;            /* code < 0: why no job can be kept here */
	struct ssi_jobhop hop;           /* to the agent */
	bool spared;                     /* the kernel spares it when memory is short, and so it would the program */
	bool attached;                   /* somebody has said SPEC or ATTACH on it */
	uint64_t alone_ms;               /* since when nobody is (CLOCK_MONOTONIC); 0 = somebody is */
	uint64_t limit_ms;               /* when its time is over; 0 = never */
	uint64_t ends_ms;                /* when it is said of a stream that it has ended, though the program has not; 0 = there is none */

	pid_t reaper;                    /* pid 1 of its namespace; 0 = there is none */
	pid_t pid, first;                /* the program; 0 = it does not run; first: what pid was */
	pid_t tar;                       /* packs or unpacks files; 0 = it does not run */
	int report;                      /* from the program's start, see start.c; -1 = all is known of it */
	int complaint;                   /* what tar says of what it cannot do */
	bool started, started_said;      /* said: on this attachment */
	bool unheld, held_started;       /* "held" is to be written; it says that the program runs */
	uint32_t stopped;                /* by which signal; 0 = it is not */
	char cgroup[PATH_MAX];           /* "" = it has none */
	int cgroup_fd, work_fd;          /* its cgroup; the root of its working directory's file system */
	int pty;                         /* the master side; -1 = it has none */
	int unread;                      /* the program's end of its standard input, where that is a pipe: what is left in it tells what was read. Else -1 */

	struct outlet out[3];            /* streams 1, 2, 4 */
	struct inlet in[2];              /* streams 0, 3 */
	Ssi__Job__Exit exit;
	Ssi__Job__Usage usage;
	Ssi__Job__Ack ends[4], *ends_of[4];
	uint64_t read;                   /* so much of its standard input; UINT64_MAX = not known */
	char text[SSI_ERR_MAX];          /* of the record */
	bool forced;                     /* exit.cause is known already: it was ended for a reason of ours */
	bool exit_said;                  /* on this attachment */
};
enum { KEEPER_OUT, KEEPER_ERR, KEEPER_RES };
enum { KEEPER_IN, KEEPER_FILES_IN };

/* attach.c: the agent, and what it says. */
void attach_accept(struct keeper *k);                        /* the newest connection is the one that counts */
void attach_lost(struct keeper *k);
void attach_read(struct keeper *k);
void attach_pump(struct keeper *k);                          /* say what can be said */
void attach_say(struct keeper *k, uint16_t type, const ProtobufCMessage *m);
void attach_state(struct keeper *k);                         /* STARTED or STATE */
void attach_hold(struct keeper *k);                          /* the file "held" */

/* spare.c: the folder, and all in it that can be there before there is a job. */
int spare_make(struct keeper *k, struct ssi_err *e);
int spare_take(struct keeper *k);                            /* it is that of job k->job from here on; -errno: that one's is not wanted any more */
void spare_clear(struct keeper *k);

/* forks.c: a process that is copied for each keeper. */
int forks_serve(void);                                       /* in each copy: the socket to the agent; -EPIPE: the agent has gone */

/* job.c: the life of the job. */
int job_take(struct keeper *k, uint64_t number, const uint8_t *body, size_t n);   /* SPEC; -errno: no such job can be kept, end */
void job_begin(struct keeper *k);                            /* all blobs are here */
void job_children(struct keeper *k);                         /* SIGCHLD */
void job_reported(struct keeper *k);                         /* the program's start has succeeded, or not */
void job_signal(struct keeper *k, int number, bool group);
void job_force(struct keeper *k, Ssi__Job__Exit__Cause cause, int sig, const char *text);   /* end it */
void job_refuse(struct keeper *k, const struct ssi_err *e);  /* NOT_STARTED */
void job_drained(struct keeper *k);                          /* after each reading of its output: is there more to come? */
void job_clear(struct keeper *k);                            /* nothing of it is left */

/* room.c: the namespaces it runs in. */
int room_make(struct keeper *k, struct ssi_err *e);          /* before there is a job */
int room_work(struct keeper *k, struct ssi_err *e);          /* its own working directory becomes the user's */
void room_end(struct keeper *k);                             /* all processes in it, at once */
void room_clear(struct keeper *k);

/* cgroup.c: its bounds. A node without cgroup v2 has none. */
void cgroup_ready(void);                                     /* before there is a job */
int cgroup_make(struct keeper *k, struct ssi_err *e);        /* the same, this one's */
void cgroup_bound(const struct keeper *k);                   /* as the job asks for */
bool cgroup_starved(const struct keeper *k);                 /* was one of its processes killed for want of memory? */
void cgroup_kill(const struct keeper *k);                     /* all that runs in it */
void cgroup_after(struct keeper *k);                         /* all that runs in it is killed; what is started from then on is in a folder below it */
void cgroup_clear(struct keeper *k);

/* start.c: processes in the room. */
int start_program(struct keeper *k, struct ssi_err *e);
void start_keys(struct keeper *k);                           /* it has started: what is typed at its terminal is for it */
int start_tar(struct keeper *k, char *const argv[], int in, int out, struct ssi_err *e);   /* as the job's user, in its folder; in and out are given away */

/* layers.c: in the program's process, as root still: its own sight of the node's folders. -errno, and where in *what. */
int layers_mount(const struct keeper *k, const struct keeper_program *p, const char **what);

/* load.c: from the Spec to what is to be executed. */
int load_begin(struct keeper *k, struct ssi_err *e);         /* 1: all is here; 0: NEED was said; -errno */
int load_blob(struct keeper *k, const uint8_t *body, size_t n, struct ssi_err *e);
bool load_need(struct keeper *k);                            /* NEED, again; true: all is here now */
void load_tell(struct keeper *k);                            /* how much has come, if that was not said: once for all that came together */
int load_program(struct keeper *k, struct ssi_err *e);       /* into k->program */
void load_clear(struct keeper *k);

/* record.c: what of it lies in files. */
int record_write(const struct keeper *k, const char *name, const void *p, size_t n);
void record_exit(struct keeper *k);                          /* the record, from what is known now */
