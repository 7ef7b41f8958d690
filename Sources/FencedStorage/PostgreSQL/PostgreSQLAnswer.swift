// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import CLibpq

    /// What a statement led to, as the server sent it.
    struct PostgreSQLAnswer: Sendable {
        /// The names of the columns.
        let columns: [String]
        /// The types of the columns, by their numbers in `pg_type`.
        let types: [Oid]
        /// The rows: a text for each column, nil for NULL.
        let texts: [[String?]]
        /// How many rows were inserted, updated, deleted or selected.
        let affectedRowCount: Int
        /// What the server calls what it did.
        let tag: String

        /// Copies a result of libpq, which stays the caller's.
        init(_ result: OpaquePointer) {
            let columnCount = PQnfields(result)
            columns = (0..<columnCount).map { String(cString: PQfname(result, $0)) }
            types = (0..<columnCount).map { PQftype(result, $0) }
            texts = (0..<PQntuples(result)).map { row in
                (0..<columnCount).map { column in
                    PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
                }
            }
            affectedRowCount = Int(String(cString: PQcmdTuples(result))) ?? 0
            tag = PQcmdStatus(result).map { String(cString: $0) } ?? ""
        }

        /// The rows with typed values.
        var rows: [SQLRow] {
            texts.map { row in
                let values = zip(row, types).map { text, type in text.map { SQLValue(text: $0, type: type) } ?? .null }
                return SQLRow(columns: columns, values: values)
            }
        }
    }

    /// The numbers of types in `pg_type`, see https://www.postgresql.org/docs/current/catalog-pg-type.html.
    private enum TypeNumber {
        static let unknown: Oid = 0
        static let bool: Oid = 16
        static let bytea: Oid = 17
        static let int8: Oid = 20
        static let int2: Oid = 21
        static let int4: Oid = 23
        static let float4: Oid = 700
        static let float8: Oid = 701
    }

    extension SQLValue {
        /// The value as the server reads it; nil for NULL.
        var postgreSQLText: String? {
            switch self {
            case .null: nil
            case .integer(let number): "\(number)"
            case .real(let number):
                number.isNaN ? "NaN" : number.isInfinite ? (number < 0 ? "-Infinity" : "Infinity") : "\(number)"
            case .text(let text): text
            case .blob(let bytes): "\\x" + bytes.hexadecimal
            }
        }

        /// The type of the parameter; that of a text is left to the server, so that it can be a date or JSON as well.
        var postgreSQLType: Oid {
            switch self {
            case .null, .text: TypeNumber.unknown
            case .integer: TypeNumber.int8
            case .real: TypeNumber.float8
            case .blob: TypeNumber.bytea
            }
        }

        /// A value that the server sent.
        fileprivate init(text: String, type: Oid) {
            let value: SQLValue? =
                switch type {
                case TypeNumber.int2, TypeNumber.int4, TypeNumber.int8: Int64(text).map { .integer($0) }
                case TypeNumber.bool: .integer(text == "t" ? 1 : 0)
                case TypeNumber.float4, TypeNumber.float8: Double(text).map { .real($0) }
                case TypeNumber.bytea: [UInt8](hexadecimal: text.dropFirst(2)).map { .blob($0) }
                default: nil
                }
            self = value ?? .text(text)
        }
    }

    extension [UInt8] {
        fileprivate var hexadecimal: String {
            let digits = Array("0123456789abcdef".utf8)
            return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
        }

        fileprivate init?(hexadecimal text: Substring) {
            let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
            guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
            self = stride(from: 0, to: digits.count, by: 2).map {
                UInt8((digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0))
            }
        }
    }

    /// The statements that a server keeps prepared for one session.
    struct PreparedStatements {
        /// How many are kept; the one that was prepared first goes first.
        private static let most = 256

        private struct Key: Hashable {
            let statement: String
            let types: [Oid]
        }

        private var names: [Key: String] = [:]
        private var order: [Key] = []
        private var count = 0

        init() {}

        /// None, with names that were not used before.
        init(after former: PreparedStatements) {
            count = former.count
        }

        func name(of statement: String, _ types: [Oid]) -> String? {
            names[Key(statement: statement, types: types)]
        }

        mutating func nextName() -> String {
            count += 1
            return "redlock_\(count)"
        }

        mutating func insert(_ name: String, for statement: String, _ types: [Oid]) {
            let key = Key(statement: statement, types: types)
            names[key] = name
            order.append(key)
        }

        /// The name of the one that must go to make room; nil while there is room.
        mutating func removeOldest() -> String? {
            guard order.count >= Self.most else { return nil }
            return names.removeValue(forKey: order.removeFirst())
        }
    }

#endif
