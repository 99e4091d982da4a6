"""Where a study is kept: a journal file, a database, or whatever Optuna storage is given."""

import os
import re
import time

import lazy_loader as lazy

optuna = lazy.load("optuna")

JOURNAL_BEGINS = b'{"op_code"'
SECONDS_TO_CONNECT = 10
SECONDS_TO_WAIT_FOR_SQLITE = 60


def open_storage(storage):
    """The Optuna storage that an argument means.

    Parameters
    ----------
    storage : None, str, path-like or optuna.storages.BaseStorage
        In memory; a database's URL; the path of a journal file; or a storage, returned as it is.

    Returns
    -------
    optuna.storages.BaseStorage

    Raises
    ------
    ConnectionError
        If the database cannot be reached.
    OSError
        If the journal file cannot be opened.
    ValueError
        If the file is no journal, or the URL is none that SQLAlchemy knows.
    ImportError
        If the database's driver is not installed.
    """
    if storage is None:
        return optuna.storages.InMemoryStorage()
    if isinstance(storage, optuna.storages.BaseStorage):
        return storage
    if isinstance(storage, str) and "://" in storage:
        return _open_database(storage)
    if isinstance(storage, (str, os.PathLike)):
        return _open_journal(os.fspath(storage))
    raise TypeError(
        "storage is None, a path, a URL such as 'sqlite:///study.db', or an Optuna storage; "
        f"got {storage!r}"
    )


def _open_journal(path):
    """A journal file's storage, whose lock is gone with the process that held it."""
    # The system's lock needs POSIX; elsewhere Optuna's lock file is broken after 30 seconds.
    lock = (
        _JournalLock(path)
        if os.name == "posix"
        else optuna.storages.journal.JournalFileOpenLock(path)
    )
    backend = optuna.storages.journal.JournalFileBackend(path, lock_obj=lock)
    with open(path, "rb") as file:
        head = file.read(len(JOURNAL_BEGINS))
    if not JOURNAL_BEGINS.startswith(head):
        raise ValueError(
            f"{path!r} is not a journal of Optuna; a SQLite file is named 'sqlite:///{path}'"
        )
    try:
        return optuna.storages.JournalStorage(backend)
    except ValueError as error:
        raise ValueError(f"the journal {path!r} is damaged: {error}") from error


class _JournalLock:
    """The system's lock on the journal itself.

    Optuna's own locks are files: one that a killed process leaves stops all others for 30 seconds.
    """

    def __init__(self, path):
        self._path = path

    def acquire(self):
        """Wait for the lock; then nobody writes, and half a line is what a dead process left."""
        import fcntl

        self._file = open(self._path, "r+b")  # noqa: SIM115 (closed by release)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        _cut_half_line(self._file)
        return True

    def release(self):
        """Let the next one in."""
        self._file.close()
        del self._file  # an open file cannot be pickled


def _cut_half_line(file):
    """Cut off a last line without an end: the next record would be glued to it and lost."""
    if file.seek(0, os.SEEK_END) == 0:
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def without_password(url):
    """Return a database's URL as messages may show it, without its password and its options."""
    return re.sub(r"\?.*", "", re.sub(r"(://[^:]*):.*@", r"\1:***@", url))


def _open_database(url):
    """A database's storage, whose transactions exclude each other on SQLite, too."""
    import sqlalchemy
    from sqlalchemy import exc

    shown = without_password(url)
    try:
        parsed = sqlalchemy.make_url(url)
        if "@" in (parsed.host or ""):  # the driver would show what follows it
            raise ValueError(f"storage {shown!r}: write an '@' in a password as '%40'")
        dialect = parsed.get_backend_name()
        options = {"connect_args": _connect_args(dialect), "pool_pre_ping": True}
        engine = sqlalchemy.create_engine(url, **options)
    except exc.ArgumentError as error:
        raise ValueError(f"storage {shown!r} is not a URL that SQLAlchemy knows: {error}") from None
    except ImportError as error:
        raise ImportError(
            f"storage {shown!r} needs a driver that is not installed ({error}); for PostgreSQL: "
            "pip install 'lungestimators[postgresql]' and a URL 'postgresql+psycopg://...'"
        ) from error
    if dialect == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError(f"storage {shown!r} keeps nothing: storage=None is in memory")
    try:
        engine.connect().close()
    except exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip()
        raise ConnectionError(f"storage {shown!r} cannot be reached: {reason}") from error
    finally:
        engine.dispose()
    storage = _create_tables(url, options)
    if dialect == "sqlite":
        _exclude_each_other(storage.engine)
    return storage


def _connect_args(dialect):
    """How long to wait for a database."""
    if dialect == "sqlite":
        return {"timeout": SECONDS_TO_WAIT_FOR_SQLITE}
    return {"connect_timeout": SECONDS_TO_CONNECT} if dialect in ("postgresql", "mysql") else {}


def _create_tables(url, options):
    """Optuna's storage; of processes that create its tables at once, all but one must retry."""
    from sqlalchemy.exc import SQLAlchemyError

    for _ in range(5):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=dict(options))
        except SQLAlchemyError:
            time.sleep(0.5)
    return optuna.storages.RDBStorage(url, engine_kwargs=dict(options))


def _exclude_each_other(engine):
    """Begin every transaction of SQLite with the lock for writing.

    SQLite knows no SELECT ... FOR UPDATE, by which Optuna makes sure on other databases that only
    one process takes a trial or ends it.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection, _):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _lock(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
