/// The built-in profile's secrets: 3 required, 13 optional.
pub(crate) const NAMES: [&str; 16] = [
    "SUPABASE_URL",
    "SUPABASE_KEY",
    "SECRET_KEY",
    "SUPABASE_SERVICE_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
    "SUPABASE_DB_PASSWORD",
    "DATABASE_URL",
    "REDIS_URL",
    "NOTIFY_SMTP_PASSWORD",
    "MAIL_PASSWORD",
    "API_KEY",
    "JWT_SECRET",
    "ENCRYPTION_KEY",
    "BACKUP_ENCRYPTION_KEY",
    "MONITORING_API_KEY",
    "HEALTH_CHECK_TOKEN",
];
