/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The merged /proc as FUSE sees it: one thread that answers every request at once, out of memory or of the real /proc. What it keeps of open files are texts
 * and lists, which can be made again: a program that takes over does so.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ssi/view/serve.h"
#include "ssi/view/serve-state.h"
#include "ssi/view/view.h"

/* What is open: a text that does not change under its reader until that begins anew, or a list. */
struct open_file { struct ssi_buf text; struct view_list list; bool used, made; };
#define OPEN_MAX_HERE 4096u          /* a list of all processes is some MiB, and is root's: no limit of the user's counts it */
enum { TOLD_FILES = 5 };             /* the first ones of tree-remote.c */
struct told { uint32_t sum[TOLD_FILES]; };
struct server {
	struct view view;
	struct serve_state state;
	struct open_file **open;
	uint32_t n_open;
	struct fuse_session *se;
	struct told *told;               /* of each remote number, what the kernel read of its files; untouched memory costs nothing */
};

static volatile sig_atomic_t reload;

static void on_hangup(int sig)
{
	reload = 1;
	alarm(1);
}

/* --- open files, by epoch and place: the kernel may name one that a program before this one opened --- */
static struct open_file *find_open(const struct server *s, uint64_t fh)
{
	uint32_t i = (uint32_t)fh;

	return fh >> 32 == s->state.epoch && i < s->n_open && s->open[i] && s->open[i]->used ? s->open[i] : NULL;
}

static int new_open(struct server *s, uint64_t *ret)
{
	struct open_file **all;
	uint32_t i;

	for (i = 0; i < s->n_open && s->open[i]->used; i++)
		;
	if (i == OPEN_MAX_HERE)
		return -ENFILE;
	if (i == s->n_open) {
		all = reallocarray(s->open, i + 1, sizeof(struct open_file *));
		if (!all)
			return -ENOMEM;
		s->open = all;
		all[i] = calloc(1, sizeof(**all));
		if (!all[i])
			return -ENOMEM;
		s->n_open++;
	}
	s->open[i]->used = true;
	*ret = (uint64_t)s->state.epoch << 32 | i;
	return 0;
}

static void close_open(struct open_file *f)
{
	if (!f)
		return;
	ssi_buf_free(&f->text);
	free(f->list.e);
	*f = (struct open_file){ 0 };
}

static struct view *begin(fuse_req_t req, struct view_caller *c)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct server *s = fuse_req_userdata(req);

	*c = (struct view_caller){ ctx->uid, ctx->pid };
	snapshot_refresh(&s->view.snap);
	local_look(&s->view);
	return &s->view;
}

/* --- names and attributes --- */
static int entry(struct view *w, const struct vnode *v, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){ .ino = view_ino(v), .entry_timeout = view_seconds(w, v), .attr_timeout = view_seconds(w, v) };
	return view_attr(w, v, &e->attr);
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = view_vnode(parent), to;
	const struct view_ops *o = view_ops(&v);
	struct fuse_entry_param e;
	int r = o->lookup ? o->lookup(w, &c, &v, name, &to) : -ENOTDIR;

	if (r == 0)
		r = entry(w, &to, &e);
	/* That a remote process has no such file is told once. */
	if (r == -ENOENT && v.kind == VIEW_RPID && snapshot_process(&w->snap, v.a)) {
		e = (struct fuse_entry_param){ .entry_timeout = 60 };
		r = 0;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = view_vnode(ino);
	struct stat st;
	int r = view_attr(w, &v, &st);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, view_seconds(w, &v));
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char buf[4096];
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = view_vnode(ino);
	const struct view_ops *o = view_ops(&v);
	int r = o->link ? o->link(w, &c, &v, buf, sizeof(buf)) : -EINVAL;

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, buf);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	fuse_reply_none(req);
}

/* --- files --- */
/* What the kernel read of a file of a remote process last; NULL: that is not noted. */
static uint32_t *told(const struct server *s, const struct vnode *v)
{
	if (v->kind != VIEW_RFILE || v->name >= TOLD_FILES || v->a < SSI_PID_JOB_FIRST || v->a >= SSI_PID_END || !s->told)
		return NULL;
	return &s->told[v->a - SSI_PID_JOB_FIRST].sum[v->name];
}

/* Does the file still say what the kernel has of it? If not, and its size may be another, the kernel is to ask for that too. */
static bool is_told(struct server *s, fuse_ino_t ino, const struct vnode *v)
{
	const uint32_t *was = told(s, v);
	uint32_t now = was ? remote_sum(&s->view, v) : 0;

	if (now && *was == now)
		return true;
	if (was && *was && !remote_is_sized(v))
		fuse_lowlevel_notify_inval_inode(s->se, ino, -1, 0);      /* of its attributes alone: nothing waits for a page */
	return false;
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = view_vnode(ino);
	const struct view_ops *o = view_ops(&v);
	int r = !o->text ? -EINVAL : (fi->flags & O_ACCMODE) != O_RDONLY ? -EACCES : 0;

	fi->noflush = 1;
	if (r == 0 && o->fixed) {
		r = remote_may_read(w, &c, &v);
		fi->keep_cache = r == 0 && is_told(fuse_req_userdata(req), ino, &v);
	} else if (r == 0) {
		r = new_open(fuse_req_userdata(req), &fi->fh);
		fi->direct_io = 1;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (fuse_reply_open(req, fi) == -ENOENT && !o->fixed)
		close_open(find_open(fuse_req_userdata(req), fi->fh));
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = view_vnode(ino);
	const struct view_ops *o = view_ops(&v);
	struct open_file one = { 0 }, *f = o->fixed ? NULL : find_open(fuse_req_userdata(req), fi->fh);
	uint32_t *was;
	int r = 0;

	f = f ? f : &one;
	if (off == 0 || !f->made) {
		ssi_buf_free(&f->text);
		f->text = (struct ssi_buf)SSI_BUF_INIT;
		r = o->text ? o->text(w, &c, &v, &f->text) : -EINVAL;
		f->made = true;
		if (r == 0 && (was = told(fuse_req_userdata(req), &v)))
			*was = remote_sum(w, &v);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else if ((size_t)off >= f->text.len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, f->text.data + off, f->text.len - (size_t)off < size ? f->text.len - (size_t)off : size);
	ssi_buf_free(&one.text);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vnode v = view_vnode(ino);

	if (!view_ops(&v)->fixed)
		close_open(find_open(fuse_req_userdata(req), fi->fh));
	fuse_reply_err(req, 0);
}

/* --- folders --- */
static int make_list(fuse_req_t req, fuse_ino_t ino, struct open_file *f)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = view_vnode(ino);
	const struct view_ops *o = view_ops(&v);
	int r;

	view_add(&f->list, ".", S_IFDIR, v);
	view_add(&f->list, "..", S_IFDIR, v);
	r = o->list ? o->list(w, &c, &v, &f->list) : -ENOTDIR;
	f->made = true;
	return r < 0 ? r : f->list.err;
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = fuse_req_userdata(req);
	int r = new_open(s, &fi->fh);

	if (r == 0)
		r = make_list(req, ino, find_open(s, fi->fh));
	if (r < 0) {
		close_open(find_open(s, fi->fh));
		fuse_reply_err(req, -r);
	} else if (fuse_reply_open(req, fi) == -ENOENT) {
		close_open(find_open(s, fi->fh));
	}
}

/* One entry; with plus all that a lookup of it would say. 0: no room. */
static size_t put(fuse_req_t req, struct view *w, const struct view_entry *en, off_t next, bool plus, char *p, size_t room)
{
	struct fuse_entry_param e = { .attr = { .st_ino = view_ino(&en->v), .st_mode = en->type } };
	size_t n;

	/* What has gone since is told without its attributes. */
	if (plus && en->name[0] != '.' && entry(w, &en->v, &e) < 0)
		e = (struct fuse_entry_param){ .attr = { .st_ino = view_ino(&en->v), .st_mode = en->type } };
	n = plus ? fuse_add_direntry_plus(req, p, room, en->name, &e, next) : fuse_add_direntry(req, p, room, en->name, &e.attr, next);
	return n <= room ? n : 0;
}

static void read_list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
	struct open_file one = { 0 }, *f = find_open(fuse_req_userdata(req), fi->fh);
	_cleanup_free_ char *buf = malloc(size);
	struct view_caller c;
	size_t used = 0, n;
	int r = buf ? 0 : -ENOMEM;

	f = f ? f : &one;
	if (r == 0 && (!f->made || (off == 0 && f->list.n == 0)))
		r = make_list(req, ino, f);
	for (size_t i = (size_t)off; r == 0 && i < f->list.n; i++, used += n) {
		n = put(req, begin(req, &c), &f->list.e[i], (off_t)i + 1, plus, buf + used, size - used);
		if (!n)
			break;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buf, used);
	free(one.list.e);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	read_list(req, ino, size, off, fi, false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	read_list(req, ino, size, off, fi, true);
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;      /* whoever lists /proc looks at each process next */
	conn->max_readahead = 0;
}

static const struct fuse_lowlevel_ops ops = {
	.init = do_init, .lookup = do_lookup, .forget = do_forget, .getattr = do_getattr, .readlink = do_readlink, .open = do_open, .read = do_read,
	.release = do_release, .opendir = do_opendir, .readdir = do_readdir, .readdirplus = do_readdirplus, .releasedir = do_release,
};

/* Go on as another program. Only comes back if there is none. */
static void execute_anew(struct server *s, int fuse, const char *dir, const char *self)
{
	char fuse_text[16], state_text[16];
	int fd = serve_state_write(&s->state, &s->view);

	reload = 0;
	alarm(0);
	if (fd < 0)
		return;
	snprintf(fuse_text, sizeof(fuse_text), "%d", fuse);
	snprintf(state_text, sizeof(state_text), "%d", fd);
	fcntl(fuse, F_SETFD, 0);
	execl(self, "ssi-view", "--serve", fuse_text, "--state", state_text, "--view", dir, (char *)NULL);
	fcntl(fuse, F_SETFD, FD_CLOEXEC);
	close(fd);
}

/* One message; the first is how kernel and program greet, and is kept for the next program. */
static int answer(struct server *s, struct fuse_session *se, struct fuse_buf *buf)
{
	int r = fuse_session_receive_buf(se, buf);

	if (r == -EINTR || r == -EAGAIN)
		return 1;
	if (r <= 0)
		return r == -ENODEV ? 0 : r;
	if (!s->state.init.len)
		ssi_buf_add(&s->state.init, buf->mem, (size_t)r);
	fuse_session_process_buf(se, buf);
	return fuse_session_exited(se) ? 0 : 1;
}

/* A signal that comes just before the read would wait for the next request: it is sent again. */
static int loop(struct server *s, struct fuse_session *se, int fuse, const char *dir, const char *self)
{
	struct fuse_buf buf = { 0 };
	int r = 1;

	while (r > 0) {
		if (reload)
			execute_anew(s, fuse, dir, self);
		r = answer(s, se, &buf);
	}
	free(buf.mem);
	return r;
}

/* Greet as the program before this one did: the kernel does so once only, and drops the answer. */
static void greet_again(struct server *s, struct fuse_session *se)
{
	struct fuse_buf buf = { .mem = s->state.init.data, .size = s->state.init.len };

	fuse_session_process_buf(se, &buf);
}

int serve(int fuse, int state, const char *dir, const char *self, struct ssi_err *e)
{
	struct server s = { 0 };
	char *argv[] = { (char *)"ssi-view", NULL }, at[24];
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct sigaction hangup = { .sa_handler = on_hangup };
	struct fuse_session *se = NULL;
	int r = view_open(&s.view, dir);

	s.told = calloc(SSI_PID_END - SSI_PID_JOB_FIRST, sizeof(*s.told));
	if (r == 0 && state >= 0)
		r = serve_state_read(state, &s.state, &s.view);
	if (r == 0 && !(se = fuse_session_new(&args, &ops, sizeof(ops), &s)))
		r = -ENOMEM;
	snprintf(at, sizeof(at), "/dev/fd/%d", fuse);
	if (r == 0 && fuse_session_mount(se, at) != 0)
		r = -EBADF;
	s.se = se;
	snapshot_refresh(&s.view.snap);
	if (r == 0) {
		sigaction(SIGHUP, &hangup, NULL);
		sigaction(SIGALRM, &hangup, NULL);
		if (s.state.init.len)
			greet_again(&s, se);
		r = loop(&s, se, fuse, dir, self);
	}
	for (uint32_t i = 0; i < s.n_open; i++) {
		close_open(s.open[i]);
		free(s.open[i]);
	}
	free(s.open);
	free(s.told);
	ssi_buf_free(&s.state.init);
	view_close(&s.view);
	if (se)
		fuse_session_destroy(se);
	return r < 0 ? ssi_errno(e, r, "the merged /proc") : 0;
}
