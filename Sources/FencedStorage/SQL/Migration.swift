// SPDX-License-Identifier: Apache-2.0

/// One step from a version of the tables of a component to the next.
public struct Migration: Sendable {
    let body: @Sendable (any SQLTransaction) throws -> Void

    /// A step.
    ///
    /// - Parameter body: statements that change the tables; the data definitions of both databases are undone with their
    ///   transaction, so that a step is done whole or not at all.
    public init(_ body: @escaping @Sendable (any SQLTransaction) throws -> Void) {
        self.body = body
    }
}

extension SQLDatabase {
    /// Brings the tables of a component to the version of the code: runs the migrations that have not run yet, in order, in one
    /// transaction.
    ///
    /// The version is the number of migrations that have run. Never change a migration that has been delivered: add one. Several
    /// processes may migrate at the same moment.
    ///
    /// - Parameters:
    ///   - component: the name of the component, as it stands in the table `schema_versions`.
    ///   - migrations: all steps since the first version.
    /// - Throws: ``StorageError`` with `newerSchema` if the tables were made by a newer version of the code, which is not touched;
    ///   what a migration throws, and then nothing has changed.
    public func migrate(_ component: String, _ migrations: [Migration]) async throws {
        // Where it is there it need not be made, for which a user may lack the right.
        if try await schemaVersion(of: component) == migrations.count { return }
        do {
            try await runMigrations(of: component, migrations)
        } catch let error as StorageError where error.code == .conflict || error.isOfTableMadeMeanwhile {
            // Another process made the table of versions at the same moment; this time it is there.
            try await runMigrations(of: component, migrations)
        }
    }

    /// The version of a component; nil if it has none, or there is no table of versions.
    private func schemaVersion(of component: String) async throws -> Int? {
        do {
            return try await read { transaction in
                try transaction.row("SELECT version FROM schema_versions WHERE component = \(component)")?.get(
                    "version"
                )
            }
        } catch let error as StorageError where error.code == .refused {
            return nil
        }
    }

    private func runMigrations(of component: String, _ migrations: [Migration]) async throws {
        try await write { transaction in
            let dialect = transaction.dialect
            try transaction.run(
                """
                CREATE TABLE IF NOT EXISTS schema_versions
                    (component \(sql: dialect.textType) NOT NULL PRIMARY KEY, version \(sql: dialect.integerType) NOT NULL)
                """
            )
            // The row is locked from here on: another process that migrates waits, and finds the work done.
            try transaction.run(
                "INSERT INTO schema_versions (component, version) VALUES (\(component), \(0)) ON CONFLICT DO NOTHING"
            )
            let found = try transaction.row(
                "SELECT version FROM schema_versions WHERE component = \(component) \(sql: dialect.forUpdate)"
            )
            let version: Int = try found?.get("version") ?? 0
            guard version <= migrations.count else {
                throw StorageError(
                    .newerSchema,
                    "the tables of \(component) have version \(version), and this code knows \(migrations.count): update it, "
                        + "or give it another database"
                )
            }
            for migration in migrations.dropFirst(version) { try migration.body(transaction) }
            try transaction.run(
                "UPDATE schema_versions SET version = \(migrations.count) WHERE component = \(component)"
            )
        }
    }
}
