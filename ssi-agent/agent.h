/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the files of ssi-agent know of each other. */
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"
#include "libssi/comm/ccm.h"
#include "libssi/model/bootargs.h"
#include "ssi/membership/node.h"
#include "ssi/procspace/act-node.h"
#include "ssi/rexec/node.h"

#define AGENT_EVENTS_READ 4096           /* PIPE_BUF: no line is longer */

struct agent {
	const char *run_dir;             /* /run/ssi, and where we work: see machine_open */
	const char *keeper;              /* the program that keeps a job */
	pid_t init;                      /* who reboots this machine: 1 */
	struct ssi_bootargs bootargs;
	uint8_t key[SSI_CCM_KEY];
	uint64_t started_ms;             /* CLOCK_BOOTTIME */
	sd_event *event;
	struct ssi_ccm *ccm;
	struct ssi_member *member;
	struct ssi_rexec_node *rexec;
	struct ssi_act_node *act;
	/* session.c */
	unsigned tries;
	struct ssi_inventory inventory;  /* as it was told last */
	bool leaving;
	uint64_t complained_ms;
	char complaint[SSI_ERR_MAX];
	/* events.c */
	int events_fd;
	sd_event_source *events_io;
	char events_rest[AGENT_EVENTS_READ];   /* the beginning of a line whose end is still in the fifo */
	size_t events_rest_len;
	/* jobs.c */
	struct jobs *jobs;
	/* carriers.c */
	struct carriers *carriers;
	/* load.c */
	struct load *load;
	/* hotplug.c */
	struct hotplug *hotplug;
	/* procs.c */
	struct procs *procs;
	/* view.c */
	const struct ssi_view *view;
	sd_event_source *view_timer;
	/* order.c */
	enum ssi_member_order ordered;
	sd_event_source *order_timer;
};

/* config.c: what ssi-init left for us in run_dir. */
int config_load(struct agent *a, struct ssi_err *e);
bool config_was_joined(const struct agent *a);               /* this incarnation, by an agent before us */
void config_set_joined(const struct agent *a);
size_t config_stages(struct ssi_boot_stage *ret, size_t max);
void config_add_stage(const struct ssi_boot_stage *s);
bool config_shutdown(char *ret_reason, size_t n);   /* is the machine going down? */

/* machine.c: what this machine is and how it does. */
int machine_open(const struct agent *a, struct ssi_err *e);  /* before all else: from then on no path begins at / */
void machine_inventory(struct ssi_inventory *ret);
void machine_vitals(double *ret_load, uint64_t *ret_mem_free);
bool machine_changed(const struct ssi_inventory *known);     /* did a processor or memory come or go? */
void machine_protect(void);                                  /* keep this process in memory and ahead of the others */

int machine_sysfs(void);                                     /* /sys, held open; borrowed */
int machine_procfs(void);                                    /* /proc, likewise */

/* hotplug.c: what comes to this machine while it runs, and goes. */
int hotplug_open(struct agent *a, struct ssi_err *e);
void hotplug_close(struct agent *a);

/* session.c: the conversation with the master. */
int session_start(struct agent *a, struct ssi_err *e);
void session_leave(struct agent *a, const char *reason);     /* then the loop ends */
void session_hardware(struct agent *a);                      /* look whether this machine is what the master was told, and tell it if not */

/* load.c: what this machine does, to the master each second while we are joined. */
int load_open(struct agent *a, struct ssi_err *e);
void load_enable(struct agent *a, bool joined);
void load_close(struct agent *a);

/* jobs.c: the programs that run here for others, each with a keeper that outlives this agent. */
int jobs_open(struct agent *a, struct ssi_err *e);           /* registers with a->ccm */
void jobs_joined(struct agent *a);                           /* tell the master what is here */
void jobs_closed(struct agent *a);                           /* the session is over: keepers wait for the next */
void jobs_drained(struct agent *a);
void jobs_close(struct agent *a);
void jobs_taken(struct agent *a, uint64_t number);           /* what could be taken of its blobs from another node is here */

/* events.c: lines from the fifo, to the master while we are joined. */
int events_open(struct agent *a, struct ssi_err *e);
void events_enable(struct agent *a, bool joined);
void events_close(struct agent *a);

/* procs.c: this machine's processes, told each second. */
int procs_open(struct agent *a, struct ssi_err *e);
void procs_close(struct agent *a);
void procs_joined(struct agent *a);                          /* a session began: all is told anew */

/* view.c: the merged system as a file, run_dir/view. */
void view_changed(struct agent *a, const struct ssi_view *v);
void view_close(struct agent *a);

/* order.c: the end of this machine's run. */
void order_do(struct agent *a, enum ssi_member_order what, const char *reason);
void order_close(struct agent *a);
