/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Nodes without machines, many in one process: what the files of the simulator know of each other. sim-nodes.c (options, commands, reports),
 * boot.c (scripts and tokens), crowd.c (sessions, heartbeats), knowledge.c (the view, kept once for all).
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>
#include "libssi/comm/ccm.h"
#include "libssi/model/bootargs.h"
#include "ssi/membership/backoff.h"
#include "ssi/membership/view.h"

struct crowd;

/* A node's life here. SILENT: it lies dead, as far as its master can tell. OVER: told that it is over, or has left. */
enum sim_state { SIM_WAITING, SIM_CONNECTING, SIM_JOINING, SIM_JOINED, SIM_SILENT, SIM_OVER };

struct sim_node {
	struct crowd *crowd;
	char name[64];
	uint64_t incarnation;
	uint8_t key[SSI_CCM_KEY];
	enum sim_state state;
	struct ssi_ccm_conn *conn;
	struct ssi_backoff backoff;
	LIST_ENTRY(sim_node) turn;       /* in a slot of the wheel, while timed */
	TAILQ_ENTRY(sim_node) line;      /* while queued: to connect, when others of this process have */
	bool timed, queued, was_joined;
	uint32_t number;
	uint64_t sequence, heard;
	uint64_t view;                   /* the number it holds; what is in that view is the crowd's to know */
};

struct crowd_config { struct in_addr master; uint16_t port; uint32_t cpus; uint64_t memory; };

/* --- boot.c --- */
/* GET /boot/MAC and the token, as iPXE and ssi-init would. Blocking. ccm_port 0: as the script says. */
int boot_node(struct in_addr master, uint16_t http_port, uint16_t ccm_port, const char *mac, struct ssi_bootargs *ret, uint8_t ret_key[SSI_CCM_KEY],
	      struct ssi_err *e);
void boot_mac(char mac[SSI_MAC_LEN], uint32_t number);      /* 52:54:01:xx:xx:xx */

/* --- knowledge.c --- */
/* Every node is told the same: it is decoded once, and each node keeps the number of what it holds. */
struct knowledge;
int knowledge_new(struct knowledge **ret);
void knowledge_free(struct knowledge *k);
/*
 * A node that holds view *number was told this (a packed View; whole: part of a JOIN_REPLY that begins with the node's own entry). *number
 * follows. -ESTALE: it builds on what the node never had; -EBADMSG.
 */
int knowledge_take(struct knowledge *k, uint64_t *number, bool whole, const uint8_t *p, size_t n);
const struct ssi_view *knowledge_view(const struct knowledge *k);     /* the newest */
uint64_t knowledge_digest(const struct knowledge *k, uint64_t number);   /* of a view that was held lately; 0: not known any more */
bool knowledge_has(const struct knowledge *k, uint32_t node);         /* is it a member, in the newest? */

/* --- crowd.c --- */
struct crowd_ops {
	void (*joined)(struct sim_node *o, bool again, void *userdata);
	void (*lost)(struct sim_node *o, const struct ssi_err *why, void *userdata);
	void (*over)(struct sim_node *o, const char *why, void *userdata);
	void (*learned)(struct sim_node *o, uint64_t before, void *userdata);    /* it holds another view than before */
};
struct crowd_counts { uint64_t tries, refused, failed, lost; unsigned joined; };

int crowd_new(sd_event *event, const struct crowd_config *c, const struct crowd_ops *ops, void *userdata, struct crowd **ret);
void crowd_free(struct crowd *w);
void crowd_add(struct crowd *w, struct sim_node *o);        /* it connects, soon */
void crowd_silence(struct crowd *w, struct sim_node *o);    /* it says nothing from now on, and keeps its connection */
void crowd_leave(struct crowd *w, struct sim_node *o, const char *reason);
struct knowledge *crowd_knowledge(const struct crowd *w);
struct crowd_counts *crowd_counts(struct crowd *w);
