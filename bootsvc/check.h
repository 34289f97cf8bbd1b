/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * "ssi-bootsvc check": what on this host stands, or will stand, in the way of machines booting from it. A check is a row of the table
 * in check.c and a file of its own; each finding says what to do. Checks only look: none changes anything.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "bootsvc/options.h"
#include "libssi/base/buf.h"
#include "libssi/model/registry.h"

/* What checks look at. Folders instead of the real ones are for tests. */
struct check_context {
	const struct bootsvc_options *options;
	const char *proc, *sys;              /* "/proc", "/sys" */
	struct ssi_registry *registry;       /* NULL: nodes.d has mistakes (mistakes then has them) */
	struct ssi_buf mistakes;
	pid_t daemon;                        /* the running ssi-bootsvc, 0 without one */
};

/* What a check found. Zero-initialised by the caller; findings is owned by it. */
struct check_report {
	json_t *findings;                    /* [{"text", "advice"}]; notes have no advice */
	bool problem, unknown;
};

struct check {
	const char *name;                    /* a word */
	const char *what;                    /* what is looked for, for the manual and -o json */
	void (*run)(const struct check_context *c, struct check_report *r);
};
extern const struct check checks[];          /* ends with a NULL name */

/* Something is wrong; advice says what to do about it. */
/* Has a node a root of this kind ("nfs": or a shared file system)? True as well where nodes.d names none, or cannot be read. */
bool check_uses(const struct check_context *c, const char *root);
/* Is an image or a state volume a disk of this master's (iSCSI)? */
bool check_uses_disks(const struct check_context *c);
void check_problem(struct check_report *r, const char *advice, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* It could not be found out, and why. */
void check_unknown(struct check_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* All is well, and this is worth saying. */
void check_note(struct check_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Run every check (only NULL), or one. [{"check","what","state": "ok"|"problem"|"unknown","findings"}]; the caller's. NULL: no such check. */
json_t *check_run(const struct check_context *c, const char *only);

void check_config(const struct check_context *c, struct check_report *r);
void check_dhcp(const struct check_context *c, struct check_report *r);
void check_ports(const struct check_context *c, struct check_report *r);
void check_modules(const struct check_context *c, struct check_report *r);
void check_tools(const struct check_context *c, struct check_report *r);
void check_power(const struct check_context *c, struct check_report *r);
void check_tftp(const struct check_context *c, struct check_report *r);
void check_arp(const struct check_context *c, struct check_report *r);
void check_ipv6(const struct check_context *c, struct check_report *r);
void check_nfsd(const struct check_context *c, struct check_report *r);
void check_images(const struct check_context *c, struct check_report *r);
void check_shared(const struct check_context *c, struct check_report *r);
void check_firewall(const struct check_context *c, struct check_report *r);
