# PostgreSQL, in two zones in production, with point-in-time recovery.

resource "aws_db_subnet_group" "main" {
  name       = local.name
  subnet_ids = aws_subnet.private[*].id
}

resource "aws_security_group" "database" {
  name        = "${local.name}-database"
  description = "PostgreSQL, from the machines of Kubernetes only"
  vpc_id      = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = aws_eks_cluster.main.vpc_config[0].cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_parameter_group" "main" {
  name   = local.name
  family = "postgres18"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # Pools of old and new replicas while they are replaced; `formstream doctor` counts.
  parameter {
    name         = "max_connections"
    value        = "500"
    apply_method = "pending-reboot"
  }
}

resource "aws_db_instance" "main" {
  identifier     = local.name
  engine         = "postgres"
  engine_version = "18"
  instance_class = var.database_class
  db_name        = "formstream"
  port           = 5432

  # The owner of the instance, no superuser in RDS; the password is made and rotated in Secrets Manager.
  username                    = "formstream"
  manage_master_user_password = true

  allocated_storage     = var.database_gigabytes
  max_allocated_storage = 4 * var.database_gigabytes
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.main.arn

  multi_az               = var.stage == "production"
  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [aws_security_group.database.id]
  parameter_group_name   = aws_db_parameter_group.main.name

  backup_retention_period      = var.stage == "production" ? 35 : 7
  copy_tags_to_snapshot        = true
  deletion_protection          = var.stage == "production"
  skip_final_snapshot          = var.stage != "production"
  final_snapshot_identifier    = "${local.name}-last"
  performance_insights_enabled = true
  auto_minor_version_upgrade   = true
}
