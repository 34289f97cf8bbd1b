/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * For tests of what is stored when: a daemon that was started with --crash-at NAME ends there as by kill -9. The names are in one table, so that a test can
 * ask for them (--crash-at list) and try every one.
 */
enum crash_point {
	CRASH_FAILOVER_BEGUN,        /* a spare is set aside, that is stored; the fence has not begun */
	CRASH_FAILOVER_FENCED,       /* the fence is confirmed; that is not stored by the failover yet */
	CRASH_FAILOVER_CONFIRMED,    /* that is stored; the spare is not bound */
	CRASH_FAILOVER_BOUND,        /* bound, and the machine that failed is marked; nobody was told */
	CRASH_FAILOVER_TOLD,         /* DHCP, membership and events know; the spare was not switched on */
	CRASH_FAILOVER_POWERED,      /* switched on; that is not stored */
	CRASH_FAILOVER_WAITING,      /* stored; the spare has not asked yet */
	CRASH_FAILOVER_ARMED,        /* the spare's incarnation is stored; it has not got its boot script */
	CRASH_FAILOVER_KEYED,        /* its token is used, that is stored; it has not got its key */
	CRASH_FAILOVER_JOINED,       /* joined, that is stored; the failover does not know yet */
	CRASH_FAILOVER_DONE,         /* the failover is over, that is stored */
	CRASH_POINTS
};

/* Ends this process by SIGKILL if it was told to at this point. */
void crash_here(enum crash_point p);
/* -1: not the name of one. */
int crash_set(const char *name);
const char *crash_name(enum crash_point p);
