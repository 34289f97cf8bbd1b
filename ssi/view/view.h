/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The merged /proc as a tree: what is in a folder, what a file says, where a link leads. It knows nothing of FUSE (serve.c is its only caller) and of the
 * daemon but its two files (snapshot.h). doc/view.md says what the tree looks like and why.
 *
 * A place in the tree is a struct vnode, and a vnode is its inode number: nothing is kept for it, so that another program may go on where this one ended.
 * Names that are not fixed are kept in a list, whose numbers stay as long as the file system does.
 */
#include <sys/stat.h>
#include "ssi/view/remote.h"
#include "ssi/view/snapshot.h"

enum view_kind {
	VIEW_ROOT, VIEW_TOP, VIEW_SELF, VIEW_THREAD_SELF, VIEW_NET, VIEW_NET_LINK,
	VIEW_SSI, VIEW_MERGED, VIEW_MOUNT, VIEW_AGE,                     /* /proc/ssi: what is merged; empty folders to mount on; what this file system needs */
	VIEW_PID, VIEW_PID_LINK, VIEW_TASK, VIEW_TID, VIEW_TID_LINK,     /* local processes */
	VIEW_RPID, VIEW_RFILE, VIEW_RTASK, VIEW_RTID, VIEW_RTID_FILE,    /* remote ones */
	VIEW_CPUS, VIEW_CPUS_FILE, VIEW_CPUS_LINK, VIEW_LCPU, VIEW_LCPU_LINK, VIEW_CPU, VIEW_CPU_FILE, VIEW_TOPOLOGY, VIEW_TOPOLOGY_FILE,
	VIEW_NODES, VIEW_NODES_FILE, VIEW_NODES_LINK, VIEW_NODE, VIEW_NODE_FILE,   /* NUMA nodes */
	VIEW_KINDS
};
struct vnode { enum view_kind kind; uint32_t a, b, name; };              /* a, b: pid and tid, or a processor's or NUMA node's number */
#define VIEW_NUMBER_MAX ((1u << 22) - 1)                                /* of a and b */
#define VIEW_NAMES_MAX 4095u

struct view_caller { uid_t uid; pid_t pid; };                           /* pid 0: not known */

struct view_names { char **v; uint32_t n; };
struct view {
	int proc, cpu, node;             /* the real /proc, /sys/devices/system/cpu and node; the latter may be -1 */
	struct view_names names;
	struct snapshot snap;
	uint64_t boot_ms;                /* wall clock */
	int hide;                        /* see local_look(): what /proc was mounted with: hidepid= */
	gid_t hide_gid;
	uint64_t hide_checked_ms;
};

/* What a folder holds; add to it with view_add. type 0: it is not to be said. */
struct view_entry { struct vnode v; char name[64]; mode_t type; };
struct view_list { struct view_entry *e; size_t n, cap; int err; };
void view_add(struct view_list *l, const char *name, mode_t type, struct vnode v);

/* One kind of place. Functions that it does not have are NULL; each returns 0 or -errno. */
struct view_ops {
	mode_t mode;                     /* type and rights; of a link 0777 */
	double seconds;                  /* how long its name may be kept, and what is said of it */
	int (*attr)(struct view *w, const struct vnode *v, struct stat *st);                     /* owner, or other rights than mode */
	int (*lookup)(struct view *w, const struct view_caller *c, const struct vnode *v, const char *name, struct vnode *ret);
	int (*list)(struct view *w, const struct view_caller *c, const struct vnode *v, struct view_list *ret);
	int (*link)(struct view *w, const struct view_caller *c, const struct vnode *v, char *buf, size_t n);
	int (*text)(struct view *w, const struct view_caller *c, const struct vnode *v, struct ssi_buf *b);
};
extern const struct view_ops view_root_ops[], view_local_ops[], view_remote_ops[], view_sys_ops[];

/* --- what serve.c calls --- */
int view_open(struct view *w, const char *dir);      /* dir: RUN/view. 0 or -errno; undone with view_close, also after a failure */
void view_close(struct view *w);
uint64_t view_ino(const struct vnode *v);
struct vnode view_vnode(uint64_t ino);
const struct view_ops *view_ops(const struct vnode *v);
int view_attr(struct view *w, const struct vnode *v, struct stat *st);
double view_seconds(const struct view *w, const struct vnode *v);         /* how long the kernel may keep v's name */
double view_attr_seconds(const struct view *w, const struct vnode *v);    /* and its attributes; a file's text as long as they are the same */

/* --- names.c --- */
int view_name(struct view *w, const char *name, uint32_t *ret);      /* its number, a new one if need be; -ENOSPC */
const char *view_named(const struct view *w, uint32_t name);         /* "" if there is no such */
void view_names_free(struct view_names *n);

/* --- local.c: the real /proc --- */
int local_read(const struct view *w, const char *path, struct ssi_buf *b);
int local_tgid(const struct view *w, pid_t tid, pid_t *ret);
int local_names(int dir, const char *path, struct view *w, struct view_list *ret, int (*add)(struct view *w, const char *name, struct view_list *ret));
bool local_may_see(struct view *w, const struct view_caller *c, uid_t owner, int level);   /* hidepid: is this level of hiding off for the caller? */
void local_look(struct view *w);                                                            /* is hidepid what it was? Looks at most once a second */
bool local_only(const struct view *w, const struct view_caller *c);                         /* does the caller's environment say SSI_VIEW=local? */
bool local_uids(const struct view *w, pid_t pid, uid_t *ret_real, uid_t *ret_effective);      /* false: there is no such process */
bool local_may_follow(const struct view *w, const struct view_caller *c, uint32_t pid);
int local_number(const char *name, uint32_t *ret);                                          /* a pid: digits, no 0 before them */
bool local_family(const struct view *w, uint32_t pid, struct remote_family *ret);           /* of a deputy; false: there is no such process */

/* --- across the files of the tree --- */
int remote_lookup_pid(struct view *w, const struct view_caller *c, uint32_t pid, struct vnode *ret);
void remote_list_pids(struct view *w, const struct view_caller *c, struct view_list *ret);
uint64_t remote_sum(const struct view *w, const struct ssi_proctable_process *p);           /* the same as long as all its files say the same; not of a job */
