output "cluster" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = aws_eks_cluster.main.name
}

output "database_host" {
  description = "For FORMSTREAM_DATABASE_URL, with ?sslmode=verify-full&sslrootcert=… of the region's CA."
  value       = aws_db_instance.main.address
}

output "database_password" {
  description = "The secret of Secrets Manager that has the database's user and password."
  value       = aws_db_instance.main.master_user_secret[0].secret_arn
}

output "object_store_url" {
  description = "FORMSTREAM_OBJECT_STORE_URL; without keys, the pods' own role counts."
  value       = "s3://${aws_s3_bucket.files.bucket}"
}
